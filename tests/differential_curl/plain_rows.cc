// The rows over plain sockets. Row 8, a null handle, is omitted: libcurl crashes on it, and uaio's
// object cannot be null.
#include "tests/differential_curl/row.h"

#include <poll.h>

namespace uaio {
namespace {

constexpr const char* kNothing = "a transfer of 0 bytes succeeds and detects no end";
constexpr const char* kScheme =
    "an unknown scheme makes a URL malformed; libcurl has a code for it";
constexpr const char* kFile =
    "a file URL cannot be connected to; libcurl succeeds without a connection";
constexpr const char* kCap = "a receive has no limit; libcurl's is CURLOPT_BUFFERSIZE";

}  // namespace

Rows beginning_rows() {
    return {
        {"1 echo",
         [](Scene& at) {
             at.connect();
             RawPeer peer = at.accept();
             at.send(5);
             at.receive(100);
             peer.send("world");
             at.wait();
             at.receive(100);
             at.receive(100);
         },
         {"0", "0,5", "81,0", "0,5", "81,0"},
         {"0", "0,5", "81,0", "0,5", "81,0"},
         ""},
        {"2 no bytes, idle",
         [](Scene& at) {
             at.connect();
             RawPeer peer = at.accept();
             at.send(0);
             at.receive(0);
         },
         {"0", "81,0", "81,0"},
         {"0", "0,0", "0,0"},
         kNothing},
        {"3 no room, bytes pending",
         [](Scene& at) {
             at.connect();
             RawPeer peer = at.accept();
             peer.send("bytes");
             at.wait();
             at.receive(0);
             at.receive(5);
         },
         {"0", "0,0", "0,5"},
         {"0", "0,0", "0,5"},
         ""},
    };
}

Rows connecting_rows() {
    return {
        {"4 never connected",
         [](Scene& at) {
             at.send(5);
             at.receive(5);
             at.socket();
         },
         {"1,0", "1,0", "BAD"},
         {"1,0", "1,0", "BAD"},
         ""},
        {"5 refused",
         [](Scene& at) {
             const DeadPort dead;
             at.connect_to("http://" + dead.place());
             at.send(5);
             at.socket();
         },
         {"7", "1,0", "BAD"},
         {"7", "1,0", "BAD"},
         ""},
        {"11 connected twice",
         [](Scene& at) {
             at.connect();
             const std::unique_ptr<SocketLine> old = at.accept_line();
             at.send(5);
             at.connect();
             RawPeer peer = at.accept();
             at.send(7);
             at.socket();
             at.note_end(*old);
         },
         {"0", "0,5", "0", "0,7", "good", "open"},
         {"0", "0,5", "0", "0,7", "good", "ended"},
         kClosed},
    };
}

Rows end_rows() {
    return {
        {"14 bytes and an end, and then a close",
         [](Scene& at) {
             at.connect();
             {
                 RawPeer peer = at.accept();
                 peer.send("bytes");
             }
             at.wait_for_end();
             for (int i = 0; i < 3; ++i)
                 at.receive(5);
             for (int i = 0; i < 2; ++i)
                 at.send(5);
             at.receive(5);
         },
         {"0", "0,5", "0,0", "0,0", "0,5", "55,0", "0,0"},
         {"0", "0,5", "end,0", "end,0", "0,5", "55,0", "end,0"},
         kEnd},
        {"15 half closed",
         [](Scene& at) {
             at.connect();
             RawPeer peer = at.accept();
             peer.send("abc");
             peer.shutdown_write();
             at.wait_for_end();
             at.receive(5);
             at.receive(5);
             at.send(10);
         },
         {"0", "0,3", "0,0", "0,10"},
         {"0", "0,3", "end,0", "0,10"},
         kEnd},
        {"16 reset, received first",
         [](Scene& at) {
             at.connect();
             at.accept().reset();
             at.wait();
             at.receive(5);
             at.receive(5);
             at.send(5);
         },
         {"0", "56,0", "0,0", "55,0"},
         {"0", "56,0", "56,0", "55,0"},
         kStays},
        {"17 reset, sent first",
         [](Scene& at) {
             at.connect();
             at.accept().reset();
             at.wait();
             at.send(5);
             at.send(5);
             at.receive(5);
         },
         {"0", "55,0", "55,0", "0,0"},
         {"0", "55,0", "55,0", "56,0"},
         kStays},
    };
}

Rows transfer_rows() {
    return {
        {"19 more than the socket buffer holds",
         [](Scene& at) {
             at.setup.send_buffer = 8192;
             at.connect();
             RawPeer peer = at.accept();
             std::string last = "0,";
             unsigned parts = 0;
             for (; parts < 100'000 && last.starts_with("0,"); ++parts)
                 last = at.driver.send(std::string(16 << 20, 's'));
             at.note(parts > 1 ? "some" : "none");
             at.note(last);
         },
         {"0", "some", "81,0"},
         {"0", "some", "81,0"},
         ""},
        {"20 four megabytes to a peer that reads",
         [](Scene& at) {
             at.setup.send_buffer = 16'384;
             at.connect();
             const std::unique_ptr<SocketLine> peer = at.accept_line();
             const std::string bytes = pattern(4 << 20);
             at.send_all(bytes, *peer);
             const std::string there = at.read_at(*peer, bytes.size());
             at.note(there == bytes ? "all there" : "not the bytes sent");
         },
         {"0", "0, 4194304 in all", "all there"},
         {"0", "0, 4194304 in all", "all there"},
         ""},
        {"21 a large receive",
         [](Scene& at) {
             at.connect();
             RawPeer peer = at.accept();
             peer.send(std::string(40'000, 'p'));
             at.wait_for_bytes(40'000);
             at.receive(30'000);
         },
         {"0", "0,16384"},
         {"0", "0,30000"},
         kCap},
        {"22 the connect timeout expires",
         [](Scene& at) {
             at.setup.whole_timeout_ms = 500;
             at.setup.connect_timeout = std::chrono::milliseconds(500);
             at.connect();
             RawPeer peer = at.accept();
             pollfd nothing{-1, 0, 0};
             ::poll(&nothing, 1, 700);  // the subject of this row
             at.receive(10);
             at.send(10);
         },
         {"0", "81,0", "0,10"},
         {"0", "81,0", "0,10"},
         ""},
    };
}

Rows url_rows() {
    return {
        {"23 an unknown scheme",
         [](Scene& at) {
             at.connect_to("foo://127.0.0.1:9");
             at.send(5);
         },
         {"1", "1,0"},
         {"3", "1,0"},
         kScheme},
        {"23 a file",
         [](Scene& at) {
             at.connect_to("file:///dev/null");
             at.send(5);
         },
         {"0", "1,0"},
         {"3", "1,0"},
         kFile},
        {"23 an invalid port",
         [](Scene& at) {
             at.connect_to("http://127.0.0.1:99999");
             at.send(5);
         },
         {"3", "1,0"},
         {"3", "1,0"},
         ""},
    };
}

}  // namespace uaio
