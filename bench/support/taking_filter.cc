#include "bench/support/taking_filter.h"

#include "bench/support/unavailable.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace uaio::bench {
namespace {

constexpr std::size_t kPage = 4096;

[[noreturn]] void unavailable(const char* call, int error) {
    throw Unavailable(std::string(call) + ": " + std::strerror(error));
}

int bpf(int command, bpf_attr& attributes) {
    return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

Descriptor make_map() {
    bpf_attr attributes{};
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = sizeof(std::uint32_t);
    attributes.value_size = sizeof(std::uint64_t);
    attributes.max_entries = 1;
    attributes.map_flags = BPF_F_MMAPABLE;
    Descriptor map(bpf(BPF_MAP_CREATE, attributes));
    if (map.get() < 0) unavailable("bpf(BPF_MAP_CREATE)", errno);
    return map;
}

// --- The program, as instructions (Documentation/bpf/standardization/instruction-set.rst) ---

enum : std::uint8_t { r0, r1, r2, r3, r4, r6 = 6, r7, r8, fp = 10 };

constexpr bpf_insn instruction(int code, std::uint8_t to, std::uint8_t from, int offset,
                               int value) {
    bpf_insn result{};
    result.code = static_cast<std::uint8_t>(code);
    result.dst_reg = to & 15;
    result.src_reg = from & 15;
    result.off = static_cast<std::int16_t>(offset);
    result.imm = value;
    return result;
}
constexpr bpf_insn move(std::uint8_t to, std::uint8_t from) {
    return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn set(std::uint8_t to, int value) {
    return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn compute(int operation, std::uint8_t to, int value) {
    return instruction(BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn compute_from(int operation, std::uint8_t to, std::uint8_t from) {
    return instruction(BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn load(int size, std::uint8_t to, std::uint8_t from, int offset) {
    return instruction(BPF_LDX | BPF_MEM | size, to, from, offset, 0);
}
constexpr bpf_insn store(std::uint8_t to, int offset, std::uint8_t from) {
    return instruction(BPF_STX | BPF_MEM | BPF_W, to, from, offset, 0);
}
constexpr bpf_insn jump_if(int condition, std::uint8_t left, int value, int instructions) {
    return instruction(BPF_JMP | condition | BPF_K, left, 0, instructions, value);
}
constexpr bpf_insn call(int function) { return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, function); }
constexpr bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

constexpr int kIp = sizeof(iphdr);
constexpr int kHeads = kIp + int{sizeof(tcphdr)};
constexpr int kStack = -kHeads;  // of the copied heads, from the frame pointer
constexpr int kKey = kStack - 8;
constexpr int kSequence = kStack + kIp + 4;
constexpr int kHeadLength = kStack + kIp + 12;  // in the upper four bits, in words
constexpr int kFlags = kStack + kIp + 13;

Descriptor load_program(int map) {
    const bpf_insn program[] = {
        move(r6, r1),
        set(r2, 0),
        move(r3, fp),
        compute(BPF_ADD, r3, kStack),
        set(r4, kHeads),
        call(BPF_FUNC_skb_load_bytes),
        jump_if(BPF_JNE, r0, 0, 23),
        load(BPF_B, r1, fp, kFlags),
        jump_if(BPF_JSET, r1, TH_FIN | TH_SYN | TH_RST, 21),
        load(BPF_W, r7, r6, offsetof(__sk_buff, len)),
        load(BPF_B, r2, fp, kHeadLength),
        compute(BPF_RSH, r2, 4),
        compute(BPF_LSH, r2, 2),
        compute(BPF_SUB, r7, kIp),
        compute_from(BPF_SUB, r7, r2),
        jump_if(BPF_JSLE, r7, 0, 14),
        load(BPF_W, r8, fp, kSequence),
        instruction(BPF_ALU | BPF_END | BPF_TO_BE, r8, 0, 0, 32),
        compute_from(BPF_ADD, r8, r7),
        set(r1, 0),
        store(fp, kKey, r1),
        instruction(BPF_LD | BPF_DW | BPF_IMM, r1, BPF_PSEUDO_MAP_FD, 0, map),
        instruction(0, 0, 0, 0, 0),  // the upper half of the constant
        move(r2, fp),
        compute(BPF_ADD, r2, kKey),
        call(BPF_FUNC_map_lookup_elem),
        jump_if(BPF_JEQ, r0, 0, 3),
        store(r0, 0, r8),
        set(r0, TC_ACT_STOLEN),
        leave(),
        set(r0, TC_ACT_OK),
        leave(),
    };
    static const char kLicense[] = "";
    static char log[16384];
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
    attributes.insns = reinterpret_cast<std::uintptr_t>(program);
    attributes.insn_cnt = sizeof program / sizeof *program;
    attributes.license = reinterpret_cast<std::uintptr_t>(kLicense);
    attributes.log_buf = reinterpret_cast<std::uintptr_t>(log);
    attributes.log_size = sizeof log;
    attributes.log_level = 1;
    Descriptor loaded(bpf(BPF_PROG_LOAD, attributes));
    if (loaded.get() < 0) {
        const int error = errno;
        throw Unavailable(std::string("bpf(BPF_PROG_LOAD): ") + std::strerror(error) + "\n" + log);
    }
    return loaded;
}

// --- Attaching it, by rtnetlink(7) ---

struct Request {
    nlmsghdr header{};
    tcmsg message{};
    char attributes[256] = {};

    // Returns where the attribute begins.
    rtattr* add(unsigned short type, const void* data, std::size_t size) {
        auto* const attribute = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(this) +
                                                          NLMSG_ALIGN(header.nlmsg_len));
        attribute->rta_type = type;
        attribute->rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
        if (size > 0) std::memcpy(RTA_DATA(attribute), data, size);
        header.nlmsg_len = static_cast<unsigned>(NLMSG_ALIGN(header.nlmsg_len) + RTA_SPACE(size));
        return attribute;
    }
    void add(unsigned short type, std::string_view text) {
        add(type, std::string(text).c_str(), text.size() + 1);
    }
    void add(unsigned short type, std::uint32_t value) { add(type, &value, sizeof value); }
};

void request(Request& request, const char* what) {
    Descriptor netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    if (::send(netlink.get(), &request, request.header.nlmsg_len, 0) < 0) unavailable(what, errno);
    alignas(nlmsghdr) char answer[1024];
    if (::recv(netlink.get(), answer, sizeof answer, 0) < 0) unavailable(what, errno);
    const auto* const error = reinterpret_cast<const nlmsgerr*>(answer + sizeof(nlmsghdr));
    if (error->error != 0) unavailable(what, -error->error);
}

Request request_for(unsigned short type, int device) {
    Request request;
    request.header.nlmsg_type = type;
    request.header.nlmsg_len = NLMSG_LENGTH(sizeof(tcmsg));
    request.message.tcm_family = AF_UNSPEC;
    request.message.tcm_ifindex = device;
    return request;
}

void attach(int device, int program) {
    Request queue = request_for(RTM_NEWQDISC, device);
    queue.message.tcm_parent = TC_H_CLSACT;
    queue.message.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    queue.add(TCA_KIND, "clsact");
    request(queue, "a clsact qdisc");

    Request filter = request_for(RTM_NEWTFILTER, device);
    filter.message.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);
    filter.message.tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL));
    filter.add(TCA_KIND, "bpf");
    rtattr* const options = filter.add(TCA_OPTIONS, nullptr, 0);
    filter.add(TCA_BPF_FD, static_cast<std::uint32_t>(program));
    filter.add(TCA_BPF_NAME, "taking_filter");
    filter.add(TCA_BPF_FLAGS, std::uint32_t{TCA_BPF_FLAG_ACT_DIRECT});
    const char* const end = reinterpret_cast<char*>(&filter) + filter.header.nlmsg_len;
    options->rta_len = static_cast<unsigned short>(end - reinterpret_cast<const char*>(options));
    request(filter, "a BPF classifier");
}

}  // namespace

TakingFilter::TakingFilter(int device) : map_(make_map()), program_(load_program(map_.get())) {
    void* const memory = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, map_.get(), 0);
    if (memory == MAP_FAILED) unavailable("mmap of a BPF map", errno);
    end_ = static_cast<std::uint32_t*>(memory);
    try {
        attach(device, program_.get());
    } catch (...) {
        ::munmap(end_, kPage);
        throw;
    }
}

TakingFilter::~TakingFilter() { ::munmap(end_, kPage); }

}  // namespace uaio::bench
