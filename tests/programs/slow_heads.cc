// Many deliberately slow HTTP clients, as in the Slowloris attack:
//
//     slow_heads PORT CONNECTIONS RATE [again]
//
// Each connection sends the beginning of a request's head, then a byte of one of its fields every
// second, and never the end. It does not close by itself, and still sends after the answer: the
// server must close it. Prints "open" when all connections are established. Without `again` it
// exits when the server has closed all of them; with it, it replaces each closed connection, and
// exits at the end of its input. Then it prints a line of JSON: the numbers of connections made,
// answered with 408 and closed by the server, and the seconds from a connection's first byte to its
// answer and to its end: minimum, median, 99th percentile and maximum. Connections use several
// loopback addresses, since the ports of one would not suffice; at most RATE begin in a second, and
// their bytes are spread evenly over time. For tests/interop_test.py and bench/slowloris.py, which
// needs a program that uses little of the processor, in short bursts.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::string_view kHead = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
constexpr std::string_view kDenied = "HTTP/1.1 408 ";
constexpr unsigned kAddresses = 8;  // 127.0.0.2 and so on
// The longest interval between two readings of the clock; each sends the bytes due since the last.
constexpr timespec kTurn{0, 200'000};
constexpr double kAtOnce = 64;  // begun in a turn; a listener's queue holds few more

double now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int check(int result, const char* call) {
    if (result < 0) throw std::system_error(errno, std::system_category(), call);
    return result;
}

// One connection, or a closed one's place.
struct Client {
    int fd = -1;
    double began = 0;
    double answered = 0;
    std::array<char, kDenied.size()> answer{};
    std::size_t size = 0;  // of the answer, as far as it is stored
};

void set(int fd, int level, int option) {
    const int on = 1;
    check(::setsockopt(fd, level, option, &on, sizeof on), "setsockopt");
}

void bind_and_connect(int fd, std::uint16_t port, unsigned number) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % kAddresses);
    const auto* const general = reinterpret_cast<const sockaddr*>(&address);
    check(::bind(fd, general, sizeof address), "bind");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    check(::connect(fd, general, sizeof address), "connect");
}

// Lets another process on this processor run before everything due is sent.
void let_others_run() { ::sched_yield(); }

// If the connection has ended, its end can be read.
void send(const Client& client, std::string_view bytes) {
    static_cast<void>(::send(client.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

// Minimum, median, 99th percentile and maximum.
void print_spread(const char* name, std::vector<double> times) {
    if (times.empty()) times = {0};
    std::sort(times.begin(), times.end());
    const char* before = "[";
    std::printf("\"%s\": ", name);
    for (const double part : {0.0, 0.5, 0.99, 1.0}) {
        const auto at = static_cast<std::size_t>(part * static_cast<double>(times.size() - 1));
        std::printf("%s%.4f", before, times[at]);
        before = ", ";
    }
    std::printf("]");
}

class Attack {
public:
    Attack(std::uint16_t port, unsigned connections, double rate, bool again)
        : port_(port),
          wanted_(connections),
          rate_(rate),
          again_(again),
          poll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
        clients_.reserve(wanted_);
    }
    ~Attack() { ::close(poll_); }
    Attack(const Attack&) = delete;
    Attack& operator=(const Attack&) = delete;

    // Opens missing connections and sends a byte on each in turn, at a rate over time.
    void run() {
        if (again_) watch(STDIN_FILENO, kInput);
        double last = now();
        double due = 0;
        double bytes_due = 0;
        bool announced = false;
        while (look() && !(announced && open_ == 0)) {
            const double time = now();
            const unsigned missing = wanted_ - (again_ ? open_ : made_);
            due = std::min({due + (time - last) * rate_, static_cast<double>(missing), kAtOnce});
            for (; due >= 1; --due) {
                open();
                let_others_run();
            }
            if (!announced && made_ >= wanted_) {
                announced = true;
                std::puts("open");
                std::fflush(stdout);
            }
            bytes_due += (time - last) * open_;
            for (; bytes_due >= 1; --bytes_due) {
                send_next();
                let_others_run();
            }
            last = time;
        }
    }

    void report() const {
        std::printf("{\"made\": %u, \"denied\": %u, \"closed\": %zu, ", made_, denied_,
                    end_times_.size());
        print_spread("answered_after", answer_times_);
        std::printf(", ");
        print_spread("closed_after", end_times_);
        std::printf("}\n");
    }

private:
    static constexpr std::uint64_t kInput = UINT64_MAX;

    void watch(int fd, std::uint64_t tag) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = tag;
        check(::epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }

    void open() {
        std::size_t at = clients_.size();
        if (free_.empty()) {
            clients_.emplace_back();
        } else {
            at = free_.back();
            free_.pop_back();
        }
        Client& client = clients_[at] = Client();
        client.fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
        set(client.fd, IPPROTO_TCP, TCP_NODELAY);
        // Even this many client ports do not prevent a server from listening on one of them.
        set(client.fd, SOL_SOCKET, SO_REUSEADDR);
        set(client.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
        bind_and_connect(client.fd, port_, made_++);
        ++open_;
        client.began = now();
        send(client, kHead);
        watch(client.fd, at);
    }

    // Sends the next connection's byte.
    void send_next() {
        for (std::size_t tried = 0; tried < clients_.size(); ++tried) {
            next_ = (next_ + 1) % clients_.size();
            if (clients_[next_].fd >= 0) return send(clients_[next_], "a");
        }
    }

    // Records answers and ends, waiting a turn for one; false after the program's input has ended.
    bool look() {
        std::array<epoll_event, 256> events;
        const int count = check(
            ::epoll_pwait2(poll_, events.data(), events.size(), &kTurn, nullptr), "epoll_pwait2");
        for (int i = 0; i < count; ++i) {
            const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
            if (tag == kInput) return false;
            read(tag);
            let_others_run();
        }
        return true;
    }

    void read(std::size_t at) {
        Client& client = clients_[at];
        std::array<char, 4096> bytes;
        const ssize_t got = ::recv(client.fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return end(at);
        if (client.size == 0) client.answered = now();
        const std::size_t kept =
            std::min(static_cast<std::size_t>(got), client.answer.size() - client.size);
        std::copy_n(bytes.data(), kept, client.answer.data() + client.size);
        client.size += kept;
    }

    void end(std::size_t at) {
        Client& client = clients_[at];
        end_times_.push_back(now() - client.began);
        if (client.size > 0) answer_times_.push_back(client.answered - client.began);
        denied_ += std::string_view(client.answer.data(), client.size) == kDenied;
        ::close(client.fd);
        client.fd = -1;
        free_.push_back(at);
        --open_;
    }

    const std::uint16_t port_;
    const unsigned wanted_;
    const double rate_;
    const bool again_;
    const int poll_;
    std::vector<Client> clients_;
    std::vector<std::size_t> free_;  // places of closed clients
    std::size_t next_ = 0;           // the client after this one sends the next byte
    unsigned open_ = 0;
    unsigned made_ = 0;
    unsigned denied_ = 0;
    std::vector<double> answer_times_;
    std::vector<double> end_times_;
};

void allow_many_descriptors() {
    rlimit limit{};
    check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

}  // namespace

int main(int argc, char** argv) {
    const bool again = argc == 5 && argv[4] == std::string_view("again");
    if (argc != 4 && !again) {
        std::fprintf(stderr, "usage: %s PORT CONNECTIONS RATE [again]\n", argv[0]);
        return 2;
    }
    try {
        allow_many_descriptors();
        Attack attack(static_cast<std::uint16_t>(std::atoi(argv[1])),
                      static_cast<unsigned>(std::atoi(argv[2])), std::atof(argv[3]), again);
        attack.run();
        attack.report();
    } catch (const std::system_error& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
