#include <uaio/error.h>

#include <cerrno>
#include <ios>
#include <ostream>
#include <set>

#include <doctest/doctest.h>

namespace uaio {
namespace {

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

TEST_CASE("every error has a name and a sentence of its own") {
    std::set<std::string> names;
    std::set<std::string> sentences;
    for (const Errc code : kAll) {
        const std::error_code error = code;
        CHECK(error);
        CHECK(error.category() == error_category());
        CHECK(!error.message().starts_with("unknown"));
        names.insert(error.message());
        const std::string sentence = strerror(error);
        CHECK(sentence.ends_with('.'));
        sentences.insert(sentence);
    }
    CHECK(names.size() == std::size(kAll));
    CHECK(sentences.size() == std::size(kAll));
    CHECK(std::string_view(error_category().name()) == "uaio");
}

TEST_CASE("errors equal the std::errc that fits and no other") {
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

TEST_CASE("what the kernel reports becomes one error each") {
    CHECK(!error_from_result(0));
    CHECK(!error_from_result(4096));
    CHECK(error_from_result(-ECANCELED) == Errc::canceled);
    CHECK(error_from_result(-ECONNRESET) == Errc::connection_reset);
    CHECK(error_from_result(-EPIPE) == Errc::connection_reset);
    CHECK(error_from_result(-ENOMEM) == Errc::not_enough_memory);
}

TEST_CASE("any other errno comes through in the system category untouched (rule 5)") {
    for (const int error : {EFAULT, EHOSTUNREACH, ECONNREFUSED, ENETDOWN, ETIMEDOUT, EIO}) {
        const std::error_code code = error_from_result(-error);
        CHECK(code.category() == std::system_category());
        CHECK(code.value() == error);
    }
    CHECK(error_from_result(-ECONNREFUSED) == std::errc::connection_refused);
}

TEST_CASE("strerror says what happened and what to do") {
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

}  // namespace
}  // namespace uaio
