// A row: the same calls to libcurl and to easy::Connection, with the same peer, the answers of
// each, and the reason where they differ. The numbers are those of the table in which libcurl's
// behaviour was first recorded.
#pragma once

#include "tests/differential_curl/driver.h"
#include "tests/differential_curl/line.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace uaio {

using Answers = std::vector<std::string>;

// The steps of a row, for both libraries.
struct Scene {
    explicit Scene(Driver& own) : driver(own) {}

    std::string place() const { return listener.endpoint().to_string(); }
    std::string url() const { return "http://" + place(); }
    // Makes this name resolve to the listener's address.
    void name_it(const std::string& host, int port) {
        setup.resolve = {host + ":" + std::to_string(port) + ":127.0.0.1"};
    }

    void connect() { connect_to(url()); }
    void connect_to(const std::string& target) { note(driver.connect(target, setup)); }
    // The same with a script for the peer, on another thread; returns its result. The script must
    // end even if no connection arrives.
    template <class Script>
    auto connect_to(const std::string& target, Script script) {
        return meanwhile([&] { return script(*this); }, [&] { connect_to(target); });
    }
    void send(std::size_t size) { note(driver.send(std::string(size, 's'))); }
    void receive(std::size_t room) { note(driver.receive(room)); }
    void socket() { note(driver.socket() < 0 ? "BAD" : "good"); }
    void note(std::string text) { answers.push_back(std::move(text)); }
    // Notes whether poll(2) reports the socket readable.
    void readable();
    // Notes whether this peer of an earlier connect has received its end.
    void note_end(SocketLine& peer);
    void note_received() { note(driver.received()); }

    RawPeer accept() { return std::move(accept_line()->socket()); }
    std::unique_ptr<SocketLine> accept_line() const { return uaio::accept_line(listener.fd()); }
    // Waits for something to receive: bytes, an end, an error.
    void wait();
    // Waits for the end of the stream, after all bytes.
    void wait_for_end();
    // Waits for `size` bytes to receive.
    void wait_for_bytes(int size);
    // Sends all but the first `sent` bytes, in as many sends as needed, and waits for room while
    // the peer reads; notes the last send's result, and the total count.
    void send_all(std::string_view bytes, SocketLine& peer, std::size_t sent = 0);
    // The bytes that the peer receives, while the library completes its work.
    std::string read_at(Line& peer, std::size_t size) const;

    Driver& driver;
    Setup setup;
    RawListener listener;
    Answers answers;
};

struct Row {
    const char* name;
    std::function<void(Scene&)> play;
    Answers curl;
    Answers uaio;
    const char* reason;  // why they differ; empty if they do not
};

using Rows = std::vector<Row>;

// plain_rows.cc
Rows beginning_rows();
Rows connecting_rows();
Rows end_rows();
Rows transfer_rows();
Rows url_rows();
// handle_rows.cc: features of a libcurl handle that a Connection lacks
Rows handle_rows();
Rows pool_rows();
// proxy_rows.cc, socks_rows.cc
Rows tunnel_rows();
Rows tunnel_failure_rows();
Rows credential_rows();
Rows challenge_rows();  // Digest has its hashes from TLS: among tls_rows()
Rows socks_rows();
Rows socks_tunnel_rows();
Rows socks_failure_rows();
// name_rows.cc
Rows name_rows();
Rows race_rows();
Rows environment_rows();
// tls_rows.cc and other files of that name; in a build without TLS without_tls.cc, which has none.
std::vector<Rows> tls_rows();

// Reasons of several files.
inline constexpr const char* kEnd = "an end is a separate result, not zero bytes";
inline constexpr const char* kClosed =
    "the previous connection is closed first; libcurl keeps it until its handle is freed";
inline constexpr const char* kStays =
    "an error is returned again; libcurl reports an end the second time";

}  // namespace uaio
