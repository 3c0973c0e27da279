// The library's client: connecting, and a request with its response..
#include "tests/differential/ports.h"
#include "tests/differential/reasons.h"

namespace differential {
namespace {

using std::chrono::milliseconds;

const std::string kContentCount =
    "a transaction counts the bytes of the response's content; nng counts 0";
const std::string kNoContent =
    "nng's defect: a 304 has no content, whatever its Content-Length (RFC 9112 6.3)";
const std::string kCutShort =
    "truncated content ends with truncated and the bytes received; nng's buffer has the announced "
    "length";
const std::string kTooSoon =
    "nng's defect: it may take the hang-up that epoll reports before connect(2) for the end of the "
    "connect";
const std::string kNagle =
    "nng's defect: it leaves Nagle's algorithm on: content waits about 40 ms for the "
    "acknowledgement of its head";

// --- A request and its response ---

void answer(Stage& stage, std::string_view method, const std::string& response) {
    Transfer& transact = stage.make("transact");
    stage.transact(transact, method);
    if (!stage.until_head()) return;
    stage.peer().send(response);
    if (!stage.until_ended(transact)) return;
    const Reply reply = stage.driver().reply();
    stage.note("status", std::to_string(reply.status));
    stage.note("content", reply.content.empty() ? "none" : reply.content);
}

void with_length(Stage& stage) {
    answer(stage, "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

void in_chunks(Stage& stage) {
    answer(stage, "GET",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
}

void to_head(Stage& stage) {
    answer(stage, "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

void not_modified(Stage& stage) {
    Transfer& transact = stage.make("transact");
    stage.set_timeout(transact, milliseconds(100));
    stage.transact(transact, "GET");
    if (!stage.until_head()) return;
    stage.peer().send("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
    stage.until_ended(transact);
}

void cut_short(Stage& stage) {
    Transfer& transact = stage.make("transact");
    stage.transact(transact, "GET");
    if (!stage.until_head()) return;
    stage.peer().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    stage.until_idle();
    stage.peer().shutdown_write();
    if (!stage.until_ended(transact)) return;
    stage.note("bytes of content", std::to_string(stage.driver().reply().content.size()));
}

void cancelled(Stage& stage) {
    Transfer& transact = stage.make("transact");
    stage.transact(transact, "GET");
    if (!stage.until_head()) return;
    stage.peer().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    stage.until_idle();
    transact.operation->cancel();
    stage.until_ended(transact);
}

// --- Connecting, on another port than that of the existing connection ---

Transfer& start_connect(Stage& stage, const std::string& name, std::uint16_t port,
                        milliseconds timeout = kNoTimeout) {
    Transfer& connect = stage.make(name);
    stage.set_timeout(connect, timeout);
    stage.submit(connect,
                 [&](Operation& operation) { stage.driver().start_connect(port, operation); });
    return connect;
}

// Waits, and notes whether there is a connection.
void finish_connect(Stage& stage, Transfer& connect) {
    if (!stage.until_ended(connect)) return;
    const bool made = stage.driver().take_connection(*connect.operation);
    stage.note("connection of " + connect.name(), made ? "made" : "none");
}

void refused(Stage& stage) {
    const ClosedPort closed;
    finish_connect(stage, start_connect(stage, "connect", closed.port()));
}

void connect_times_out(Stage& stage) {
    const FullPort full;
    finish_connect(stage, start_connect(stage, "connect", full.port(), milliseconds(60)));
}

void connect_cancelled(Stage& stage) {
    const FullPort full;
    Transfer& connect = start_connect(stage, "connect", full.port());
    stage.until_idle();
    connect.operation->cancel();
    finish_connect(stage, connect);
}

void second_connect_cancelled(Stage& stage) {
    FullPort full;
    Transfer& first = start_connect(stage, "first", full.port());
    Transfer& second = start_connect(stage, "second", full.port());
    stage.until_idle();
    second.operation->cancel();
    finish_connect(stage, second);
    stage.note("the first", first.ended() ? "ended" : "pending");
    full.make_room();
    finish_connect(stage, first);
}

// --- The existing connection ---

void client_goes(Stage& stage) {
    stage.driver().free_client();
    stage.until_ended(stage.start(Verb::write_all, "write", 3));
}

void head_then_content(Stage& stage) {
    const auto record = std::make_shared<Record>();
    const auto request = stage.driver().make(record);
    stage.driver().write_request(5, *request);
    Transfer& content = stage.start(Verb::write_all, "content", 5);
    if (!stage.until_head() || !stage.until_ended(content)) return;
    record->wait(1, kPatience);
    request->wait();
    stage.note("request", request->getters().result);
    stage.note("small writes", stage.socket().sends_at_once() ? "are sent at once" : "may wait");
}

std::vector<Expectation> kept(std::vector<Expectation> row) {
    row.push_back(same("peer", "open"));
    return row;
}

Rows transact_rows() {
    return {
        {"X-1", "a response with a length", with_length,
         kept({differs("transact", "ok/0", "ok/5", kContentCount), same("status", "200"),
               same("content", "hello")})},
        {"X-1", "a response in chunks", in_chunks,
         kept({differs("transact", "ok/0", "ok/11", kContentCount), same("status", "200"),
               same("content", "hello world")})},
        {"X-1", "a response to HEAD with a length", to_head,
         kept({same("transact", "ok/0"), same("status", "200"), same("content", "none")})},
        {"X-2",
         "304 with a length",
         not_modified,
         {differs("transact", "timed_out/0", "ok/0", kNoContent),
          differs("peer", "end of stream", "open", kNoContent)}},
        {"X-3",
         "the stream ends in the middle of the content",
         cut_short,
         {differs("transact", "connection_shut/0", "truncated/5", kCutShort),
          differs("bytes of content", "10", "5", kCutShort), same("peer", "end of stream")}},
        {"X-4",
         "cancel in the middle of the content",
         cancelled,
         {differs("transact", "canceled/0", "canceled/5", kExactCount),
          same("peer", "end of stream")}},
    };
}

Rows connecting_rows() {
    const Expectation none = same("connection of connect", "none");
    const Expectation perhaps =
        may_differ("connection of connect", "made | none", "none", kTooSoon);
    return {
        {"X-5", "connect to a port without a listener", refused,
         usable({same("connect", "ECONNREFUSED/0"), none})},
        {"X-5", "timeout of a connect", connect_times_out,
         usable({may_differ("connect", "ok/0 | timed_out/0", "timed_out/0", kTooSoon), perhaps})},
        {"X-5", "cancel of a connect", connect_cancelled,
         usable({may_differ("connect", "ok/0 | canceled/0", "canceled/0", kTooSoon), perhaps})},
        {"X-6", "cancel of the second of two connects", second_connect_cancelled,
         usable({may_differ("second", "ok/0 | canceled/0", "canceled/0", kTooSoon),
                 may_differ("connection of second", "made | none", "none", kTooSoon),
                 may_differ("the first", "ended | pending", "pending", kTooSoon),
                 same("first", "ok/0"), same("connection of first", "made")})},
        {"X-7", "write_all after the client that connected is freed", client_goes,
         usable({same("write", "ok/3")})},
        {"X-8", "write_req and then write_all of its content", head_then_content,
         usable({same("request", "ok"), same("content", "ok/5"),
                 differs("small writes", "may wait", "are sent at once", kNagle)})},
    };
}

}  // namespace

Rows client_rows() {
    Rows rows = transact_rows();
    for (Row& row : connecting_rows())
        rows.push_back(std::move(row));
    return rows;
}

}  // namespace differential
