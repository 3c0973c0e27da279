#include <uaio/argument_error.h>
#include <uaio/error.h>

#include "base/error_text.h"

#include <cerrno>
#include <ios>
#include <iterator>
#include <ostream>
#include <set>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::error_test {

constexpr Errc kAll[] = {
    Errc::canceled,          Errc::closed,
    Errc::timed_out,         Errc::end_of_stream,
    Errc::truncated,         Errc::not_connected,
    Errc::connection_reset,  Errc::invalid_argument,
    Errc::not_enough_memory, Errc::not_supported,
    Errc::no_buffer_space,   Errc::operation_would_block,
    Errc::proxy_refused,     Errc::resource_deadlock_would_occur,
    Errc::engine_lost,
};

// Arguments that a call refuses.
constexpr ArgumentErrc kInvalid[] = {
    ArgumentErrc::invalid_option,       ArgumentErrc::invalid_url,
    ArgumentErrc::invalid_endpoint,     ArgumentErrc::invalid_method,
    ArgumentErrc::invalid_target,       ArgumentErrc::invalid_status,
    ArgumentErrc::invalid_reason,       ArgumentErrc::invalid_header_name,
    ArgumentErrc::invalid_header_value, ArgumentErrc::conflicting_header,
    ArgumentErrc::invalid_trailer,      ArgumentErrc::invalid_message,
    ArgumentErrc::wrong_message_state,  ArgumentErrc::wrong_engine,
    ArgumentErrc::invalid_server_name,  ArgumentErrc::no_stream,
    ArgumentErrc::drain_in_progress,
};

TEST_CASE("every error has a name and a sentence of its own") {
    std::set<std::string> names;
    std::set<std::string> sentences;
    std::vector<std::error_code> codes(std::begin(kAll), std::end(kAll));
    codes.insert(codes.end(), std::begin(kInvalid), std::end(kInvalid));
    for (const std::error_code error : codes) {
        CHECK(error);
        CHECK(!error.message().starts_with("unknown"));
        names.insert(error.message());
        const std::string sentence = strerror(error);
        CHECK(sentence.ends_with('.'));
        sentences.insert(sentence);
    }
    CHECK(names.size() == codes.size());
    CHECK(sentences.size() == codes.size());
    CHECK(std::string_view(error_category().name()) == "uaio");
}

TEST_CASE("each error equals its std::errc and no other") {
    const auto is = [](Errc code, std::errc condition) {
        return make_error_code(code) == condition;
    };
    CHECK(is(Errc::canceled, std::errc::operation_canceled));
    CHECK(is(Errc::timed_out, std::errc::timed_out));
    CHECK(is(Errc::not_connected, std::errc::not_connected));
    CHECK(is(Errc::connection_reset, std::errc::connection_reset));
    CHECK(is(Errc::invalid_argument, std::errc::invalid_argument));
    CHECK(is(Errc::not_enough_memory, std::errc::not_enough_memory));
    CHECK(is(Errc::not_supported, std::errc::not_supported));
    CHECK(is(Errc::no_buffer_space, std::errc::no_buffer_space));
    CHECK(is(Errc::operation_would_block, std::errc::operation_would_block));
    CHECK(is(Errc::resource_deadlock_would_occur, std::errc::resource_deadlock_would_occur));
    CHECK(!is(Errc::closed, std::errc::operation_canceled));
    CHECK(!is(Errc::canceled, std::errc::timed_out));
    CHECK(make_error_code(Errc::closed) == Errc::closed);
    CHECK(make_error_code(Errc::closed) != Errc::end_of_stream);
}

TEST_CASE("each invalid argument has a code of its own, which equals std::errc::invalid_argument") {
    CHECK(std::string_view(argument_category().name()) == "argument");
    for (const ArgumentErrc code : kInvalid) {
        CHECK(make_error_code(code) == std::errc::invalid_argument);
        CHECK(make_error_code(code) != Errc::invalid_argument);
        CHECK(strerror(code).find("Aio::set_iov") == std::string::npos);
    }
}

TEST_CASE("the text of an exception contains the advice and names the cause once") {
    const auto text = [](int number) {
        const std::error_code error(number, std::system_category());
        return std::string(std::system_error(error, with_advice("uaio: bind", error)).what());
    };
    CHECK(text(EADDRINUSE) ==
          "uaio: bind: Another program uses that address, or the path of the unix socket is a file "
          "that is not a socket; stop the program, use port 0, or remove the file: Address already "
          "in use");
    CHECK(text(EBADF) == "uaio: bind: Bad file descriptor");
    const std::error_code url = ArgumentErrc::invalid_url;
    CHECK(with_advice("call", url) + '.' == "call: " + strerror(url));
}

TEST_CASE("each errno that the library names becomes one error") {
    CHECK(!error_from_result(0));
    CHECK(!error_from_result(4096));
    CHECK(error_from_result(-ECANCELED) == Errc::canceled);
    CHECK(error_from_result(-ECONNRESET) == Errc::connection_reset);
    CHECK(error_from_result(-EPIPE) == Errc::connection_reset);
    CHECK(error_from_result(-ENOMEM) == Errc::not_enough_memory);
}

TEST_CASE("any other errno is reported unchanged in the system category (rule 5)") {
    for (const int error : {EFAULT, EHOSTUNREACH, ECONNREFUSED, ENETDOWN, ETIMEDOUT, EIO}) {
        const std::error_code code = error_from_result(-error);
        CHECK(code.category() == std::system_category());
        CHECK(code.value() == error);
    }
    CHECK(error_from_result(-ECONNREFUSED) == std::errc::connection_refused);
}

TEST_CASE("strerror names the error and the remedy") {
    CHECK(strerror({}) == "Success.");
    CHECK(strerror(Errc::timed_out).find("deadline") != std::string::npos);
    const std::string refused = strerror({ECONNREFUSED, std::system_category()});
    CHECK(refused.find("111") != std::string::npos);
    CHECK(refused.find("server") != std::string::npos);
    CHECK(strerror({EMFILE, std::generic_category()}).find("ulimit -n") != std::string::npos);
    CHECK(strerror({12345, std::system_category()}).find("12345") != std::string::npos);
    CHECK(strerror({999, error_category()}).find("999") != std::string::npos);
    CHECK(strerror(std::make_error_code(std::io_errc::stream)).find("iostream") !=
          std::string::npos);
}

}  // namespace uaio::error_test
