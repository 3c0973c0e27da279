#include <uaio/argument_error.h>
#include <uaio/http_server.h>
#include <uaio/provider.h>

#include "engine/core.h"
#include "transport/http/format/message_reader.h"
#include "transport/http/format/target.h"
#include "transport/http/no_stream.h"
#include "transport/http/server/server_connection.h"

#include <new>

namespace uaio::http {

Exchange::Exchange(Engine& engine)
    : aio_(engine, [this](Aio&) { connection_->responses().on_written(*this); }) {}

void Exchange::reset() noexcept {
    response_.reset();
    suffix_ = collected_ = 0;
    state_ = State::over;
    failed_ = false;
    failure_.clear();
    reason_.clear();
    route_ = nullptr;
    fixed_.reset();
    connection_ = nullptr;
}

std::size_t Exchange::capacity() const noexcept {
    return MessageReader::capacity(request_) + MessageReader::capacity(response_) +
           path_.capacity() + reason_.capacity() + whole_.capacity();
}

std::string_view Exchange::raw_path() const noexcept {
    Target target;
    split_target(request_.method(), request_.target(), target);
    return target.path;
}

std::string_view Exchange::query() const noexcept {
    Target target;
    split_target(request_.method(), request_.target(), target);
    return target.query;
}

Engine& Exchange::engine() const noexcept { return aio_.engine(); }

std::chrono::nanoseconds Exchange::send_timeout(std::size_t bytes) const noexcept {
    return connection_->shard().send_timeout(bytes);
}

std::shared_ptr<void>& Exchange::per_engine(const void* key) {
    return connection_->shard().local(key);
}

// ---- operations of handlers, and their states

void Exchange::misuse(const char* what) noexcept { EngineCore::of(aio_.engine()).misuse(what); }

bool Exchange::on_its_thread() noexcept {
    if (EngineCore::of(aio_.engine()).on_thread()) [[likely]]
        return true;
    misuse("an http::Exchange was used on another thread than its engine's; it was ignored");
    return false;
}

bool Exchange::may_respond() noexcept {
    if (!on_its_thread()) return false;
    if (state_ == State::open) [[likely]]
        return true;
    if (state_ == State::begun) {
        misuse(
            "Exchange::respond() after begin(): the response that has begun cannot be completed, "
            "so the connection is closed");
        connection_->responses().note_failure(this, ArgumentErrc::wrong_message_state, "respond()",
                                              "after begin()");
        connection_->responses().fail(*this, ArgumentErrc::wrong_message_state);
    } else {
        misuse("Exchange::respond() on an exchange that has ended; it was ignored");
    }
    return false;
}

void Exchange::respond() noexcept {
    if (may_respond()) connection_->responses().respond(*this);
}

void Exchange::respond(int status) noexcept {
    if (may_respond()) connection_->responses().respond(*this, status);
}

void Exchange::respond(std::string_view content, std::string_view type) noexcept {
    if (!may_respond()) return;
    std::error_code error = response_.copy_content(content);
    if (!error) error = response_.headers().set("Content-Type", type);
    if (!error) return connection_->responses().respond(*this);
    connection_->responses().refuse_response(*this, error, "the response is invalid",
                                             error.message());
}

void Exchange::begin(Aio& aio) noexcept {
    if (on_its_thread()) {
        if (state_ == State::open) return connection_->responses().begin(*this, aio);
        misuse("Exchange::begin() on an exchange that has begun or ended; nothing was sent");
    }
    Provider::submit(
        aio.engine(), aio,
        [](Aio& refused) noexcept { Provider::finish(refused, ArgumentErrc::wrong_message_state); },
        nullptr);
}

void Exchange::end() noexcept {
    if (!on_its_thread()) return;
    if (state_ == State::begun) return connection_->responses().end(*this);
    if (state_ == State::open) {
        misuse("Exchange::end() without begin(): the response is 500");
        return connection_->responses().refuse_response(*this, ArgumentErrc::wrong_message_state,
                                                        "end()", "without begin()");
    }
    misuse("Exchange::end() on an exchange that has ended; it was ignored");
}

void Exchange::abort(std::error_code error) noexcept {
    if (!on_its_thread()) return;
    if (state_ == State::open || state_ == State::begun)
        return connection_->responses().fail(*this, error);
    misuse("Exchange::abort() on an exchange that has ended; it was ignored");
}

// Without a session every operation of a reader and of a writer ends with
// ArgumentErrc::wrong_message_state.
ContentWriter Exchange::writer() noexcept {
    if (state_ == State::begun) return connection_->connection().write_content();
    misuse("Exchange::writer() without begin(), or on an exchange that has ended");
    return ContentWriter(nullptr);
}

ContentReader Exchange::reader() noexcept {
    if (state_ == State::open || state_ == State::begun) {
        return connection_->connection().read_content();
    }
    misuse("Exchange::reader() on an exchange that has ended");
    return ContentReader(nullptr);
}

Connection Exchange::hijack() noexcept {
    if (on_its_thread()) {
        if (state_ == State::open || state_ == State::begun) return connection_->hijack(*this);
        misuse("Exchange::hijack() on an exchange that has ended; its connection is closed");
    }
    return Connection(StreamPtr(new (std::nothrow) NoStream<Errc::closed>));
}

}  // namespace uaio::http
