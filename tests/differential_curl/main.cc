// The same calls on libcurl's CONNECT_ONLY and on easy::Connection, before the same peer: what each
// answers is written down in a row, and where the two differ the row says why. Prints a line a row
// for tests/run.py. Codes are those of libcurl 7.88.1 (curl/curl.h): 0, 1 unsupported protocol, 3
// bad URL, 7 no connection, 55 send, 56 receive, 81 again; "end" is what libcurl has no code for.
//
// Not here: TLS, names, proxies and curl_multi, whose rows need peers of their own; what libcurl
// crashes at (a null handle); and time limits, which tests/transport/easy_test.cc has.
#include <uaio/easy.h>
#include <uaio/engine.h>

#include "tests/support/raw_peer.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#define DOCTEST_CONFIG_IMPLEMENT
#include <curl/curl.h>

#include <doctest/doctest.h>

namespace {

using uaio::RawListener;
using uaio::RawPeer;
using Answers = std::vector<std::string>;

std::string answer(int code, std::size_t count) {
    return std::to_string(code) + "," + std::to_string(count);
}

class Driver {
public:
    virtual ~Driver() = default;
    virtual std::string connect(const std::string& url) = 0;
    virtual std::string send(const std::string& bytes) = 0;
    virtual std::string receive(std::size_t room) = 0;
    virtual int socket() = 0;
};

class CurlDriver final : public Driver {
public:
    explicit CurlDriver(long send_buffer) : send_buffer_(send_buffer), handle_(curl_easy_init()) {}
    ~CurlDriver() override { curl_easy_cleanup(handle_); }
    CurlDriver(const CurlDriver&) = delete;
    CurlDriver& operator=(const CurlDriver&) = delete;

    std::string connect(const std::string& url) override {
        curl_easy_setopt(handle_, CURLOPT_URL, url.c_str());
        curl_easy_setopt(handle_, CURLOPT_CONNECT_ONLY, 1L);
        curl_easy_setopt(handle_, CURLOPT_PROXY, "");
        curl_easy_setopt(handle_, CURLOPT_SOCKOPTDATA, &send_buffer_);
        curl_easy_setopt(handle_, CURLOPT_SOCKOPTFUNCTION, &set_buffer);
        return std::to_string(curl_easy_perform(handle_));
    }
    std::string send(const std::string& bytes) override {
        std::size_t count = 0;
        const CURLcode code = curl_easy_send(handle_, bytes.data(), bytes.size(), &count);
        return answer(code, count);
    }
    std::string receive(std::size_t room) override {
        std::string bytes(room + 1, '\0');
        std::size_t count = 0;
        const CURLcode code = curl_easy_recv(handle_, bytes.data(), room, &count);
        return answer(code, count);
    }
    int socket() override {
        curl_socket_t fd = CURL_SOCKET_BAD;
        curl_easy_getinfo(handle_, CURLINFO_ACTIVESOCKET, &fd);
        return fd;
    }

private:
    static int set_buffer(void* data, curl_socket_t fd, curlsocktype) {
        const int size = static_cast<int>(*static_cast<long*>(data));
        if (size > 0) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        return CURL_SOCKOPT_OK;
    }

    long send_buffer_;
    CURL* handle_;
};

class UaioDriver final : public Driver {
public:
    explicit UaioDriver(long send_buffer) {
        options_.proxy = "";
        options_.stream.send_buffer = static_cast<int>(send_buffer);
    }

    std::string connect(const std::string& url) override {
        uaio::Aio aio(engine_);
        const std::size_t scheme = url.find("http://");
        connection_.connect(scheme == 0 ? "tcp" + url.substr(4) : url, options_, aio);
        const std::error_code error = aio.wait();
        if (!error) return "0";
        if (error == uaio::Errc::invalid_argument) return "3";
        return error == std::errc::connection_refused ? "7" : error.message();
    }
    std::string send(const std::string& bytes) override {
        return text(connection_.try_send(std::as_bytes(std::span(bytes))), 55);
    }
    std::string receive(std::size_t room) override {
        std::vector<std::byte> bytes(room);
        return text(connection_.try_receive(bytes), 56);
    }
    int socket() override { return connection_.native_handle(); }

private:
    static std::string text(const uaio::easy::Result& result, int failure) {
        if (!result.error) return answer(0, result.count);
        if (result.error == uaio::Errc::end_of_stream) return "end,0";
        if (result.error == uaio::Errc::not_connected) return answer(1, result.count);
        if (result.error == uaio::Errc::operation_would_block) return answer(81, result.count);
        return answer(failure, result.count);
    }

    uaio::Engine engine_;
    uaio::easy::Options options_;
    uaio::easy::Connection connection_{engine_};
};

// What a row does to both.
struct Scene {
    explicit Scene(Driver& own) : driver(own) {}

    void connect() { note(driver.connect(url())); }
    void send(std::size_t size) { note(driver.send(std::string(size, 's'))); }
    void receive(std::size_t room) { note(driver.receive(room)); }
    void socket() { note(driver.socket() < 0 ? "BAD" : "good"); }
    void note(std::string text) { answers.push_back(std::move(text)); }
    std::string url() { return "http://" + listener.endpoint().to_string(); }
    RawPeer accept() { return RawPeer::accept_from(listener.fd()); }
    // Something to receive: bytes, an end, an error.
    void wait() {
        pollfd entry{driver.socket(), POLLIN, 0};
        if (::poll(&entry, 1, 10'000) != 1) note("nothing came");
    }
    // So many bytes to receive.
    void wait_for_bytes(int size) {
        int there = 0;
        for (int round = 0; round < 1000 && there < size; ++round) {
            ::ioctl(driver.socket(), FIONREAD, &there);
            pollfd nothing{-1, 0, 0};
            if (there < size) ::poll(&nothing, 1, 10);
        }
        if (there < size) note("too little came");
    }

    Driver& driver;
    RawListener listener;
    Answers answers;
};

struct Row {
    const char* name;
    std::function<void(Scene&)> play;
    Answers curl;
    Answers uaio;
    const char* reason;  // why they differ; empty where they do not
    long send_buffer = 0;
};

constexpr const char* kNothing = "no bytes at all are no error, and tell nothing";
constexpr const char* kEnd = "an end is a result of its own, not zero bytes";
constexpr const char* kStays = "an error stays: libcurl makes an end of it, the second time";
constexpr const char* kScheme = "a scheme that nobody knows makes an URL bad; libcurl has a code";
constexpr const char* kCap = "a receive has no limit of its own; libcurl's is CURLOPT_BUFFERSIZE";

std::vector<Row> beginning_rows() {
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

std::vector<Row> connecting_rows() {
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
             const std::string nobody = [] {
                 const RawListener gone;
                 return "http://" + gone.endpoint().to_string();
             }();
             at.note(at.driver.connect(nobody));
             at.send(5);
             at.socket();
         },
         {"7", "1,0", "BAD"},
         {"7", "1,0", "BAD"},
         ""},
        {"11 connected twice",
         [](Scene& at) {
             at.connect();
             RawPeer old = at.accept();
             at.send(5);
             at.connect();
             RawPeer peer = at.accept();
             at.send(7);
             at.socket();
         },
         {"0", "0,5", "0", "0,7", "good"},
         {"0", "0,5", "0", "0,7", "good"},
         ""},
    };
}

std::vector<Row> end_rows() {
    return {
        {"14 bytes and an end, and then nobody",
         [](Scene& at) {
             at.connect();
             {
                 RawPeer peer = at.accept();
                 peer.send("bytes");
             }
             at.wait();
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
             at.wait();
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

std::vector<Row> other_rows() {
    return {
        {"19 more than fits",
         [](Scene& at) {
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
         "",
         8192},
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
        {"23 an unknown scheme",
         [](Scene& at) {
             at.note(at.driver.connect("foo://127.0.0.1:9"));
             at.send(5);
         },
         {"1", "1,0"},
         {"3", "1,0"},
         kScheme},
        {"23 a port that is none",
         [](Scene& at) {
             at.note(at.driver.connect("http://127.0.0.1:99999"));
             at.send(5);
         },
         {"3", "1,0"},
         {"3", "1,0"},
         ""},
    };
}

std::string text_of(const Answers& answers) {
    std::string text;
    for (const std::string& each : answers)
        text += each + " ";
    return text;
}

bool check(const Row& row, const char* who, Driver& driver, const Answers& expected) {
    Scene scene(driver);
    row.play(scene);
    if (scene.answers == expected) return true;
    std::printf("# %s, %s: %s\n#   expected %s\n", row.name, who, text_of(scene.answers).c_str(),
                text_of(expected).c_str());
    return false;
}

bool compare(const Row& row) {
    CurlDriver curl(row.send_buffer);
    UaioDriver uaio(row.send_buffer);
    bool good = check(row, "libcurl", curl, row.curl);
    good = check(row, "uaio", uaio, row.uaio) && good;
    good = (row.curl == row.uaio) == (std::strlen(row.reason) == 0) && good;
    std::printf("%s libcurl row %s%s%s\n", good ? "ok" : "not ok", row.name,
                *row.reason ? ": differs, " : "", row.reason);
    return good;
}

}  // namespace

int main() {
    doctest::Context context;  // the peers' own checks need one
    context.setAsDefaultForAssertsOutOfTestCases();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bool all = true;
    for (const auto& rows : {beginning_rows(), connecting_rows(), end_rows(), other_rows()}) {
        for (const Row& row : rows)
            all = compare(row) && all;
    }
    curl_global_cleanup();
    return all ? 0 : 1;
}
