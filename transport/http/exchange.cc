#include <uaio/http_server.h>

#include "transport/http/message_reader.h"
#include "transport/http/server_connection.h"
#include "transport/http/target.h"

namespace uaio::http {

Exchange::Exchange(Engine& engine)
    : aio_(engine, [this](Aio&) { connection_->on_written(*this); }) {}

void Exchange::reset() noexcept {
    response_.reset();
    rest_ = collected_ = 0;
    failed_ = started_ = false;
    route_ = nullptr;
    connection_ = nullptr;
}

std::size_t Exchange::capacity() const noexcept {
    return MessageReader::capacity(request_) + MessageReader::capacity(response_) +
           path_.capacity();
}

std::string_view Exchange::query() const noexcept {
    Target target;
    split_target(request_.method(), request_.target(), target);
    return target.query;
}

Engine& Exchange::engine() const noexcept { return aio_.engine(); }

std::chrono::nanoseconds Exchange::send_timeout(std::size_t bytes) const noexcept {
    return connection_->loop().send_timeout(bytes);
}

std::shared_ptr<void>& Exchange::local(const void* key) { return connection_->loop().local(key); }

void Exchange::respond() noexcept { connection_->respond(*this); }
void Exchange::respond(int status) noexcept { connection_->respond(*this, status); }

void Exchange::respond(std::string_view content, std::string_view type) noexcept {
    std::error_code error = response_.copy_data(content);
    if (!error) error = response_.headers().set("Content-Type", type);
    error ? connection_->respond(*this, 500) : connection_->respond(*this);
}

void Exchange::begin(Aio& aio) noexcept { connection_->begin(*this, aio); }
BodyWriter Exchange::writer() noexcept { return connection_->connection().write_body(); }
void Exchange::end() noexcept { connection_->end(*this); }
void Exchange::fail(std::error_code error) noexcept { connection_->fail(*this, error); }
BodyReader Exchange::reader() noexcept { return connection_->connection().read_body(); }
Connection Exchange::hijack() noexcept { return connection_->hijack(*this); }

}  // namespace uaio::http
