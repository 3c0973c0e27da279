#include "bench/support/tun_network.h"

#include "bench/support/loopback.h"
#include "bench/support/processor.h"
#include "bench/support/taking_filter.h"
#include "bench/support/unavailable.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

namespace uaio::bench {
namespace {

constexpr char kDevice[] = "uaio0";
constexpr char kOwn[] = "10.77.0.1";
constexpr char kHost[] = "10.77.0.2";
constexpr std::uint32_t kFirst = 1000;  // the host's initial sequence number

// struct virtio_net_hdr of <linux/virtio_net.h>, which is not C++.
struct PacketHead {
    std::uint8_t flags = 0;
    std::uint8_t gso_type = 0;
    std::uint16_t fields[4] = {};
};
static_assert(sizeof(PacketHead) == 10);

[[noreturn]] void unavailable(const char* call) {
    throw Unavailable(std::string(call) + ": " + std::strerror(errno));
}

// The sum of RFC 1071, to be continued.
std::uint32_t add_words(std::uint32_t sum, const void* bytes, std::size_t size) {
    for (std::size_t i = 0; i + 1 < size; i += 2) {
        std::uint16_t word = 0;
        std::memcpy(&word, static_cast<const char*>(bytes) + i, sizeof word);
        sum += word;
    }
    return sum;
}

std::uint16_t checksum(std::uint32_t sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

// The other host: answers what passes the filter, and acknowledges what the filter takes.
class Host {
public:
    Host(int device, const TakingFilter& filter)
        : device_(device), filter_(filter), thread_([this] { run(); }) {}
    ~Host() {
        stop_ = true;
        thread_.join();
    }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

private:
    struct Packet {
        iphdr ip;
        tcphdr tcp;
        std::uint8_t options[40];
    };

    // Without a pause, since a wake-up on these machines takes longer than many sends.
    void run() {
        pin_to_processor(Place::other);
        for (unsigned turn = 0; !stop_; ++turn) {
            const std::uint32_t end = filter_.end();
            if (end != seen_) {
                seen_ = end;
                answer(0, kFirst + 1, end);
            }
            if (turn % 64 == 0) read_packet();
#ifdef __x86_64__
            __builtin_ia32_pause();  // leaves the core to its other thread
#endif
        }
    }

    void read_packet() {
        PacketHead head;
        Packet packet;
        const iovec parts[] = {{&head, sizeof head}, {&packet, sizeof packet}};
        const ssize_t size = ::readv(device_, parts, 2);
        const bool whole =
            size >= static_cast<ssize_t>(sizeof head + sizeof(iphdr) + sizeof(tcphdr));
        if (!whole || packet.ip.version != 4 || packet.ip.protocol != IPPROTO_TCP) return;
        std::uint32_t end = ntohl(packet.tcp.seq);
        if (packet.tcp.syn) {
            source_ = packet.ip.daddr;
            destination_ = packet.ip.saddr;
            source_port_ = packet.tcp.dest;
            destination_port_ = packet.tcp.source;
            return answer(TH_SYN, kFirst, end + 1);
        }
        if (!packet.tcp.fin) return;
        end += ntohs(packet.ip.tot_len) - kIpSize - packet.tcp.doff * 4u;
        answer(TH_FIN, kFirst + 1, end + 1);
    }

    void answer(std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledged) {
        const PacketHead head;
        Packet packet{};
        std::size_t options = 0;
        if (flags & TH_SYN) {  // a segment size of 1460, windows in units of 1 KiB
            constexpr std::uint8_t kOptions[] = {
                TCPOPT_MAXSEG, 4, 1460 >> 8, 1460 & 0xff, TCPOPT_NOP, TCPOPT_WINDOW, 3, 10};
            options = sizeof kOptions;
            std::memcpy(packet.options, kOptions, options);
        }
        const std::size_t size = kIpSize + sizeof packet.tcp + options;
        packet.ip.version = 4;
        packet.ip.ihl = kIpSize / 4;
        packet.ip.tot_len = htons(static_cast<std::uint16_t>(size));
        packet.ip.ttl = 64;
        packet.ip.protocol = IPPROTO_TCP;
        packet.ip.saddr = source_;
        packet.ip.daddr = destination_;
        packet.ip.check = checksum(add_words(0, &packet.ip, sizeof packet.ip));
        packet.tcp.source = source_port_;
        packet.tcp.dest = destination_port_;
        packet.tcp.seq = htonl(sequence);
        packet.tcp.ack_seq = htonl(acknowledged);
        packet.tcp.doff = static_cast<std::uint8_t>((sizeof packet.tcp + options) / 4) & 15;
        packet.tcp.th_flags = static_cast<std::uint8_t>(flags | TH_ACK);
        packet.tcp.window = 0xffff;
        // The pseudo-header of RFC 9293 section 3.1.
        const std::uint16_t pseudo[] = {htons(IPPROTO_TCP),
                                        htons(static_cast<std::uint16_t>(size - kIpSize))};
        std::uint32_t sum = add_words(0, &packet.ip.saddr, 2 * sizeof packet.ip.saddr);
        sum = add_words(sum, pseudo, sizeof pseudo);
        packet.tcp.check = checksum(add_words(sum, &packet.tcp, size - kIpSize));
        const iovec parts[] = {{const_cast<PacketHead*>(&head), sizeof head}, {&packet, size}};
        static_cast<void>(::writev(device_, parts, 2) < 0);
    }

    static constexpr std::uint32_t kIpSize = sizeof(iphdr);

    const int device_;
    const TakingFilter& filter_;
    std::uint32_t seen_ = 0;
    in_addr_t source_ = 0;
    in_addr_t destination_ = 0;
    in_port_t source_port_ = 0;
    in_port_t destination_port_ = 0;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

// Made on the calling thread, which it moves into the namespace.
class TunNetwork {
public:
    TunNetwork() : made_(make_namespace()), device_(make_device()), filter_(index_) {
        host_.emplace(device_.get(), filter_);
    }

private:
    static bool make_namespace() {
        if (::unshare(CLONE_NEWNET) < 0) unavailable("a network namespace");
        bring_up("lo");  // other cases of the program use it
        // The same for every contender, and without options that the host would have to follow.
        write_setting("/proc/sys/net/ipv4/tcp_timestamps", "0");
        write_setting("/proc/sys/net/ipv4/tcp_congestion_control", "reno");
        return true;
    }

    static void bring_up(const char* device) {
        const Descriptor control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ifreq request{};
        std::strcpy(request.ifr_name, device);
        request.ifr_flags = IFF_UP | IFF_RUNNING;
        if (::ioctl(control.get(), SIOCSIFFLAGS, &request) < 0) unavailable("a device up");
    }

    static void write_setting(const char* path, const char* value) {
        const Descriptor file(::open(path, O_WRONLY | O_CLOEXEC));
        if (::write(file.get(), value, std::strlen(value)) < 0) unavailable(path);
    }

    Descriptor make_device() {
        Descriptor device(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
        if (device.get() < 0) unavailable("/dev/net/tun");
        ifreq request{};
        std::strcpy(request.ifr_name, kDevice);
        request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
        if (::ioctl(device.get(), TUNSETIFF, &request) < 0) unavailable("a tun device");
        // Large packets, as to a network card that cuts them.
        if (::ioctl(device.get(), TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
            unavailable("offloads of a tun device");
        const Descriptor control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        auto& address = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
        address = {};
        address.sin_family = AF_INET;
        ::inet_pton(AF_INET, kOwn, &address.sin_addr);
        if (::ioctl(control.get(), SIOCSIFADDR, &request) < 0) unavailable("an address");
        ::inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
        if (::ioctl(control.get(), SIOCSIFNETMASK, &request) < 0) unavailable("a netmask");
        bring_up(kDevice);
        index_ = static_cast<int>(::if_nametoindex(kDevice));
        return device;
    }

    bool made_;
    int index_ = 0;
    Descriptor device_;
    TakingFilter filter_;
    std::optional<Host> host_;
};

}  // namespace

void enter_tun_network() { static const TunNetwork network; }

Endpoint host_in_tun_network() {
    Endpoint host;
    static_cast<void>(Endpoint::parse(std::string(kHost) + ":9", host));
    return host;
}

}  // namespace uaio::bench
