// The server of the demo: answers one request with a head of its own and a content that it sends
// with http::Connection::write_all, in many entries of uneven sizes. On the engine's thread.
#pragma once

#include <uaio/await.h>
#include <uaio/http.h>

#include "tools/demo_file.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <span>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace uaio::demo {

// One answer and its results, which are valid after serve() has ended.
struct Answer {
    std::span<const std::byte> content;
    std::size_t write_size = 0;  // bytes of the content in one write_all
    std::size_t entry_size = 0;  // maximum bytes of an entry
    std::stop_source stop;       // cancels the operation that serve() awaits

    std::atomic<std::size_t> sent{0};  // bytes of the completed write_alls; any thread
    std::error_code error;             // of the last write_all
    std::size_t count = 0;             // sum of their count(), the head included
    std::size_t head_size = 0;
    std::size_t writes = 0;
    std::size_t entries = 0;
};

inline constexpr std::chrono::seconds kPatience{40};

// Moves the front of `content` into entries of 1 to `entry_size` bytes, appended to `entries`,
// until `write_size` bytes or the limit of an iovec list are reached.
inline void cut(std::span<const std::byte>& content, const Answer& answer, Random& random,
                std::vector<iovec>& entries) {
    std::size_t room = std::min(answer.write_size, content.size());
    while (room > 0 && entries.size() < IovCursor::kMaxEntries) {
        const std::size_t uneven = 1 + random.next() % answer.entry_size;
        const std::size_t size = std::min(room, uneven);
        entries.push_back({const_cast<std::byte*>(content.data()), size});
        content = content.subspan(size);
        room -= size;
    }
}

// Reads and discards a request's head: there is only one answer.
inline Task<> read_request(http::Connection& connection) {
    std::string head;
    char buffer[4096];
    while (head.find("\r\n\r\n") == std::string::npos && head.size() < 65536) {
        const auto [error, count] = co_await read(connection, buffer, {.timeout = kPatience});
        if (error) throw std::system_error(error, "reading the request");
        head.append(buffer, count);
    }
}

// Accepts a connection and sends the answer. Throws if no request arrives; the results of writing
// are in `answer`.
inline Task<> serve(Acceptor& acceptor, Answer& answer) {
    StreamPtr stream;
    const std::error_code refused = co_await accept(acceptor, stream, {.timeout = kPatience});
    if (refused) throw std::system_error(refused, "accepting a connection");
    http::Connection connection(std::move(stream));
    co_await read_request(connection);

    const std::string head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        "Content-Length: " +
        std::to_string(answer.content.size()) + "\r\nConnection: close\r\n\r\n";
    answer.head_size = head.size();
    std::span<const std::byte> content = answer.content;
    Random random(content.size());
    std::vector<iovec> entries;
    entries.push_back({const_cast<char*>(head.data()), head.size()});
    while (!content.empty() && !answer.error) {
        cut(content, answer, random, entries);
        const auto [error, count] = co_await write_all(connection, entries, {.timeout = kPatience});
        answer.error = error;
        answer.count += count;
        answer.sent.store(answer.count, std::memory_order_relaxed);
        answer.entries += entries.size();
        ++answer.writes;
        entries.clear();
    }
}

// serve() in progress on an engine; the destructor stops it and waits for it, since it refers to
// `answer`.
class Serving {
public:
    Serving(Engine& engine, Acceptor& acceptor, Answer& answer) : answer_(answer) {
        std::promise<void> ended;
        ended_ = ended.get_future();
        auto finish = [ended = std::move(ended)](const TaskResult<void>& result) mutable noexcept {
            if (result.exception()) {
                ended.set_exception(result.exception());
            } else {
                ended.set_value();
            }
        };
        spawn(engine, serve(acceptor, answer), std::move(finish), answer.stop.get_token());
    }
    ~Serving() {
        answer_.stop.request_stop();
        if (ended_.valid()) ended_.wait();
    }
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;

    // Waits for the end; throws what serve() threw.
    void finish() { ended_.get(); }

private:
    Answer& answer_;
    std::future<void> ended_;
};

}  // namespace uaio::demo
