// co_await over Aios, in the coroutines of <uaio/task.h>: any verb with its buffers, a timeout and
// a std::stop_token; the value is Aio::result() and count(). On the thread of the task's engine;
// the streams must be of that engine.
//
//   uaio::Task<> greet(uaio::StreamPtr stream) {
//       auto [error, count] = co_await uaio::write_all(*stream, "hello\n", {.timeout = 5s});
//       if (error) throw std::system_error(error);
//   }
//   uaio::spawn(engine, greet(std::move(stream)));
#pragma once

#include <uaio/provider.h>
#include <uaio/stream.h>
#include <uaio/task.h>
#include <uaio/transferred.h>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstring>
#include <optional>
#include <ranges>
#include <span>
#include <stop_token>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace uaio {

// The time limits of one awaited operation.
struct AwaitOptions {
    std::chrono::nanoseconds timeout = kNoTimeout;   // as Aio::set_timeout()
    std::optional<Clock::time_point> deadline = {};  // as Aio::set_deadline(), in place of it
};

// gcc 12 destroys the members of an aggregate twice if it is made inside a co_await expression; so
// AwaitOptions has nothing to destroy, and stop tokens are separate arguments.
static_assert(std::is_trivially_destructible_v<AwaitOptions>);

template <class R>
concept IovecRange = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
    std::same_as<std::ranges::range_value_t<R>, iovec>;

// A range of std::byte, unsigned char or char.
template <class R>
concept ByteRange = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
    (std::same_as<std::ranges::range_value_t<R>, std::byte> ||
     std::same_as<std::ranges::range_value_t<R>, unsigned char> ||
     std::same_as<std::ranges::range_value_t<R>, char>);

// An iovec list, or one buffer. Borrows the entries and their buffers until the operation has
// ended.
class AwaitBuffers {
public:
    std::span<const iovec> entries() const noexcept {
        if (const iovec* const single = std::get_if<iovec>(&what_)) return {single, 1};
        return *std::get_if<std::span<const iovec>>(&what_);
    }

    // Sets them as the iovec list of `aio`; the errors are those of Aio::set_iov().
    Errc set_on(Aio& aio) const noexcept {
        if (const iovec* const single = std::get_if<iovec>(&what_)) {
            aio.set_iov(single->iov_base, single->iov_len);
            return Errc{};
        }
        const std::error_code error = aio.set_iov(*std::get_if<std::span<const iovec>>(&what_));
        if (!error) return Errc{};
        return error == Errc::not_enough_memory ? Errc::not_enough_memory : Errc::invalid_argument;
    }

protected:
    explicit AwaitBuffers(std::span<const iovec> entries) noexcept : what_(entries) {}
    AwaitBuffers(const void* data, std::size_t size) noexcept
        : what_(iovec{const_cast<void*>(data), size}) {}

private:
    std::variant<std::span<const iovec>, iovec> what_;
};

// Buffers to write: iovec entries, a range of bytes such as std::string, or text up to its
// terminating zero. A literal or a const array of char is text, at most up to the array's end. An
// array of char that may be changed is a buffer of which only a part may be filled: pass
// std::span(array).first(count).
class WriteBuffers : public AwaitBuffers {
public:
    template <IovecRange R>
    WriteBuffers(const R& entries) noexcept : AwaitBuffers(std::span<const iovec>(entries)) {}
    template <ByteRange R>
    requires(!std::is_array_v<R>) WriteBuffers(const R& bytes)
    noexcept : AwaitBuffers(std::ranges::data(bytes), std::ranges::size(bytes)) {}
    template <std::size_t kSize>
    WriteBuffers(const char (&text)[kSize]) noexcept : AwaitBuffers(text, ::strnlen(text, kSize)) {}
    // See above: with this line in a compiler's error, pass std::span(array).first(count).
    template <std::size_t kSize>
    WriteBuffers(char (&array)[kSize]) = delete;
    // A template, since overload resolution prefers a function that is none for a literal.
    template <class Text>
    requires(std::same_as<Text, const char*> || std::same_as<Text, char*>)
        WriteBuffers(const Text& text)
    noexcept : WriteBuffers(std::string_view(text)) {}
    WriteBuffers(const void* data, std::size_t size) noexcept : AwaitBuffers(data, size) {}
};

// Buffers to read into: iovec entries, or a range of bytes that may be changed.
class ReadBuffers : public AwaitBuffers {
public:
    template <IovecRange R>
    ReadBuffers(const R& entries) noexcept : AwaitBuffers(std::span<const iovec>(entries)) {}
    template <ByteRange R>
    requires(!std::is_const_v<std::remove_reference_t<std::ranges::range_reference_t<R>>>)
        ReadBuffers(R&& bytes)
    noexcept : AwaitBuffers(std::ranges::data(bytes), std::ranges::size(bytes)) {}
    ReadBuffers(void* data, std::size_t size) noexcept : AwaitBuffers(data, size) {}
};

// The result of the functions below, to be awaited at once, in a Task: passes the task's Aio to
// `submit`; the value of the co_await is {error, count}, or the error alone.
template <class Submit, class Result>
class [[nodiscard]] AwaitedVerb {
public:
    AwaitedVerb(Submit submit, const AwaitOptions& options, std::stop_token stop,
                const std::optional<AwaitBuffers>& buffers = {}) noexcept
        : submit_(std::move(submit)),
          options_(options),
          stop_(std::move(stop)),
          buffers_(buffers) {}
    AwaitedVerb(const AwaitedVerb&) = delete;
    AwaitedVerb& operator=(const AwaitedVerb&) = delete;

    bool await_ready() const noexcept { return false; }

    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiting) {
        TaskContext& context = waiting.promise().context();
        aio_ = &context.aio();
        if (stop_.stop_requested()) {
            refused_ = Errc::canceled;
        } else if (buffers_) {
            refused_ = buffers_->set_on(*aio_);
        }
        if (refused_ != Errc{}) return false;
        if (options_.timeout != kNoTimeout) aio_->set_timeout(options_.timeout);
        if (options_.deadline) aio_->set_deadline(*options_.deadline);
        context.set_waiting(waiting);
        submit_(*aio_);
        // After the submission, since a cancel of an idle Aio has no effect.
        if (stop_.stop_possible()) on_stop_.emplace(std::move(stop_), Cancel{*aio_});
        return true;
    }

    Result await_resume() noexcept {
        on_stop_.reset();  // waits for a request under way: it would cancel the next operation
        if (refused_ != Errc{}) [[unlikely]]
            return Result{refused_};
        if (options_.timeout != kNoTimeout) aio_->set_timeout(kNoTimeout);
        if constexpr (std::same_as<Result, Transferred>) {
            return {aio_->result(), aio_->count()};
        } else {
            return aio_->result();
        }
    }

private:
    struct Cancel {
        Aio& aio;
        void operator()() const noexcept { aio.cancel(); }
    };

    Submit submit_;
    AwaitOptions options_;
    std::stop_token stop_;
    std::optional<AwaitBuffers> buffers_;
    Aio* aio_ = nullptr;
    Errc refused_{};  // not zero: nothing was submitted
    std::optional<std::stop_callback<Cancel>> on_stop_;
};

// Any class with the verbs of a stream: Stream, http::Connection, or one of your own.
template <class S>
concept ByteStream = requires(S& stream, Aio& aio) {
    stream.read(aio);
    stream.read_all(aio);
    stream.write(aio);
    stream.write_all(aio);
};

// In all functions below a request of `stop`, from any thread, is a cancel() of the operation; if
// it came first, nothing is transferred.

// Awaits any verb: `submit`, a void(Aio&) that must not throw, passes the Aio to it, once. Gives
// {error, count}.
template <std::invocable<Aio&> Submit>
auto operation(Submit submit, const AwaitOptions& options = {}, std::stop_token stop = {}) {
    return AwaitedVerb<Submit, Transferred>(std::move(submit), options, std::move(stop));
}

// The verbs of a stream; each gives {error, count}, and borrows stream and buffers until then. An
// iovec list of more than 1024 entries, or of more than inline_iov without memory for them, ends
// the operation at once with the error of Aio::set_iov().
template <ByteStream S>
auto write_all(S& stream, WriteBuffers buffers, const AwaitOptions& options = {},
               std::stop_token stop = {}) {
    const auto submit = [&stream](Aio& aio) { stream.write_all(aio); };
    return AwaitedVerb<decltype(submit), Transferred>(submit, options, std::move(stop), buffers);
}

template <ByteStream S>
auto write(S& stream, WriteBuffers buffers, const AwaitOptions& options = {},
           std::stop_token stop = {}) {
    const auto submit = [&stream](Aio& aio) { stream.write(aio); };
    return AwaitedVerb<decltype(submit), Transferred>(submit, options, std::move(stop), buffers);
}

template <ByteStream S>
auto read_all(S& stream, ReadBuffers buffers, const AwaitOptions& options = {},
              std::stop_token stop = {}) {
    const auto submit = [&stream](Aio& aio) { stream.read_all(aio); };
    return AwaitedVerb<decltype(submit), Transferred>(submit, options, std::move(stop), buffers);
}

template <ByteStream S>
auto read(S& stream, ReadBuffers buffers, const AwaitOptions& options = {},
          std::stop_token stop = {}) {
    const auto submit = [&stream](Aio& aio) { stream.read(aio); };
    return AwaitedVerb<decltype(submit), Transferred>(submit, options, std::move(stop), buffers);
}

// Waits for a connection. Gives the error alone, and the stream in `out`, which it borrows until
// then.
inline auto accept(Acceptor& acceptor, StreamPtr& out, const AwaitOptions& options = {},
                   std::stop_token stop = {}) {
    const auto submit = [&acceptor, &out](Aio& aio) { acceptor.accept(aio, out); };
    return AwaitedVerb<decltype(submit), std::error_code>(submit, options, std::move(stop));
}

// Makes a connection. Gives the error alone, and the stream in `out`, which it borrows until then.
inline auto connect(Connector& connector, StreamPtr& out, const AwaitOptions& options = {},
                    std::stop_token stop = {}) {
    const auto submit = [&connector, &out](Aio& aio) { connector.connect(aio, out); };
    return AwaitedVerb<decltype(submit), std::error_code>(submit, options, std::move(stop));
}

// The same to an address. The type of `how` selects the transport:
//   co_await uaio::connect(endpoint, uaio::tcp::ConnectOptions{}, stream);
//   co_await uaio::connect("/run/some.socket", uaio::local::ConnectOptions{}, stream);
template <class Address, class How, std::same_as<StreamPtr> Out>
requires requires(const Address& address, const How& how, Aio& aio, Out& out) {
    connect(address, how, aio, out);
}
auto connect(const Address& address, const How& how, Out& out, const AwaitOptions& options = {},
             std::stop_token stop = {}) {
    const auto submit = [&](Aio& aio) { connect(address, how, aio, out); };
    return AwaitedVerb<decltype(submit), std::error_code>(submit, options, std::move(stop));
}

// Waits for `time`, from now on. Gives an error only if a stop token ended it, Errc::canceled, or
// the end of the engine, Errc::closed.
inline auto delay(std::chrono::nanoseconds time, std::stop_token stop = {}) {
    constexpr Canceler kEnd = [](Aio& aio) noexcept {
        const std::error_code reason = Provider::cancel_reason(aio);
        Provider::finish(aio, reason == Errc::timed_out ? std::error_code() : reason);
    };
    const auto submit = [](Aio& aio) {
        constexpr Starter kStart = [](Aio& started) noexcept { Provider::park(started, kEnd); };
        Provider::submit(aio.engine(), aio, kStart, nullptr);
    };
    const AwaitOptions options{.timeout = time};
    return AwaitedVerb<decltype(submit), std::error_code>(submit, options, std::move(stop));
}

// The engine that the awaiting task runs on; does not suspend it.
class ThisEngine {
public:
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiting) noexcept {
        engine_ = &waiting.promise().context().engine();
        return false;
    }
    Engine& await_resume() const noexcept { return *engine_; }

private:
    Engine* engine_ = nullptr;
};
inline ThisEngine this_engine() noexcept { return {}; }

}  // namespace uaio
