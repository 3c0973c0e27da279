#include "transport/dialer/run.h"

#include <uaio/argument_error.h>
#include <uaio/config.h>
#include <uaio/local.h>
#include <uaio/provider.h>
#include <uaio/tls.h>

#include "base/check.h"
#include "engine/core.h"
#include "engine/deadline.h"
#include "transport/proxy/handshake.h"
#include "transport/proxy/header.h"
#include "transport/tls/hash.h"

#include <net/if.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace uaio {
namespace {

// Sends one message and reads nothing.
class OneWayMessage final : public proxy::Dialogue {
public:
    explicit OneWayMessage(std::string text) : text_(std::move(text)) {}
    std::error_code begin(std::string& out) override {
        out += text_;
        return {};
    }
    proxy::Progress consume(std::string_view, std::string&) override {
        return {proxy::Progress::State::done};
    }

private:
    std::string text_;
};

std::string random_text() {
    unsigned char bytes[16] = {};
    // Fails for so few bytes only where seccomp forbids it (getrandom(2)); Digest then works with a
    // client nonce that can be predicted.
    static_cast<void>(::getrandom(bytes, sizeof bytes, 0));
    std::string text;
    for (const unsigned byte : bytes)
        text.append(1, "0123456789abcdef"[byte >> 4]).append(1, "0123456789abcdef"[byte & 15]);
    return text;
}

bool resolves_here(const Proxy& proxy) noexcept {
    return proxy.kind == ProxyKind::socks4 || proxy.kind == ProxyKind::socks5;
}

DialPhase phase_of(bool resolves, bool connects, bool secures) noexcept {
    if (resolves) return DialPhase::resolve;
    if (connects) return DialPhase::connect;
    return secures ? DialPhase::tls : DialPhase::proxy;
}

}  // namespace

DialRun::DialRun(const DialPlan& plan, Aio& aio, StreamPtr& out, DialReport* report)
    : plan_(plan),
      user_(aio),
      out_(out),
      report_(report ? *report : own_report_),
      io_(aio.engine(), [this](Aio&) { guarded([this] { on_step(); }); }) {}

void DialRun::start(Aio& aio) noexcept {
    DialRun& self = *static_cast<DialRun*>(Provider::owner(aio));
    self.report_ = {};
    if (Provider::stopped(aio)) return self.end(Errc::canceled);
    if (self.plan_.refused) return self.end(self.plan_.refused);
    if (Provider::expired(aio)) return self.end(Errc::timed_out);
    Provider::park(aio, [](Aio& parked) noexcept {
        static_cast<DialRun*>(Provider::owner(parked))->io_.cancel();
    });
    EngineCore& core = EngineCore::of(aio.engine());
    Provider::limit_deadline(aio, deadline_after(core.now_ns(), self.plan_.options.timeout));
    self.guarded([&self] { self.go_on(); });
}

template <class Work>
void DialRun::guarded(Work work) noexcept {
    try {
        work();
    } catch (const std::bad_alloc&) {
        end(Errc::not_enough_memory);
    }
}

void DialRun::end(std::error_code error) noexcept {
    const std::unique_ptr<DialRun> freed(this);
    DCHECK(error || (stream_ && !secured_));
    if (!error) {
        report_.phase = DialPhase::done;
        out_ = std::move(stream_);
    }
    stream_.reset();
    secured_.reset();
    Provider::finish(user_, error);
}

// ---- the sequence

void DialRun::go_on() {
    do {
        DCHECK(step_ != Step::done);
        step_ = static_cast<Step>(static_cast<unsigned>(step_) + 1);
    } while (!is_needed(step_));
    if (step_ == Step::done) return end({});
    begin_step();
}

bool DialRun::is_needed(Step step) const noexcept {
    const bool by_pre_proxy = plan_.pre_proxy.kind != ProxyKind::none;
    switch (step) {
        case Step::resolve: return first_path().empty();
        case Step::resolve_pre_proxy: return resolves_here(plan_.pre_proxy);
        case Step::pre_proxy: return by_pre_proxy;
        case Step::proxy_tls: return plan_.proxy.kind == ProxyKind::https;
        case Step::resolve_proxy: return resolves_here(plan_.proxy);
        case Step::proxy: return plan_.proxy.kind != ProxyKind::none;
        case Step::header: return plan_.options.proxy_header != ProxyHeader::none;
        case Step::tls: return plan_.secure;
        case Step::begin:
        case Step::connect:
        case Step::done: return true;
    }
    return true;
}

void DialRun::begin_step() {
    // Steps behind `connect` use its stream; the others must not leave one.
    DCHECK((step_ > Step::connect) == (stream_ != nullptr) && !secured_);
    const DialOptions& options = plan_.options;
    step_began_ns_ = EngineCore::of(user_.engine()).now_ns();
    const bool resolves =
        step_ == Step::resolve || step_ == Step::resolve_pre_proxy || step_ == Step::resolve_proxy;
    report_.phase = phase_of(resolves, step_ == Step::connect, step_ == Step::tls);
    switch (step_) {
        case Step::resolve: return resolve(first_place(), options.family);
        case Step::connect: return connect();
        case Step::resolve_pre_proxy: return resolve_for(plan_.pre_proxy, behind_pre_proxy());
        case Step::pre_proxy: return shake_hands_with(plan_.pre_proxy, behind_pre_proxy());
        case Step::proxy_tls:
            return secure(options.start_proxy_tls, plan_.proxy_tls_context,
                          {plan_.proxy.host, plan_.proxy.port});
        case Step::resolve_proxy: return resolve_for(plan_.proxy, plan_.place);
        case Step::proxy: return shake_hands_with(plan_.proxy, plan_.place);
        case Step::header: return send_header();
        case Step::tls: return secure(options.start_tls, plan_.tls_context, plan_.target);
        case Step::begin:
        case Step::done: break;
    }
}

// Checks the user's cancel first: it may have missed a step that was complete.
void DialRun::on_step() {
    DCHECK(step_ > Step::begin && step_ < Step::done);
    note_time();
    if (step_ == Step::connect) {
        report_.attempts += race_.attempts;
        if (!io_.result()) ++report_.connections;
        if (first_path().empty() && race_.peer) report_.peer = race_.peer;
        report_.peer_is_proxy = first_proxy() != nullptr;
    }
    if (connect_) report_.proxy_status = connect_->status();
    if (socks_) report_.socks_reply = socks_->reply();
    if (const std::error_code asked = Provider::cancel_reason(user_)) return end(asked);
    if (const std::error_code error = io_.result()) return fail(error);
    if (secured_) stream_ = std::move(secured_);
    if (step_ >= Step::connect && !stream_) return fail(ArgumentErrc::no_stream);
    go_on();
}

void DialRun::note_time() noexcept {
    const std::chrono::nanoseconds spent(EngineCore::of(user_.engine()).now_ns() - step_began_ns_);
    DCHECK(spent.count() >= 0);
    switch (report_.phase) {
        case DialPhase::resolve: report_.resolve += spent; break;
        case DialPhase::connect: report_.connect += spent; break;
        case DialPhase::proxy: report_.proxy += spent; break;
        case DialPhase::tls: report_.tls += spent; break;
        case DialPhase::begin:
        case DialPhase::done: break;
    }
}

void DialRun::fail(std::error_code error) {
    if (step_ == Step::proxy && connect_ && connect_->wants_another_connection()) {
        return start_over();
    }
    const bool is_resolve = error.category() == resolve_category();
    if (is_resolve && resolves_proxy()) error = ProxyErrc::name_not_resolved;
    const bool to_socks_4 =
        (step_ == Step::resolve_proxy && plan_.proxy.kind == ProxyKind::socks4) ||
        (step_ == Step::resolve_pre_proxy && plan_.pre_proxy.kind == ProxyKind::socks4);
    if (to_socks_4 && error == ResolveErrc::no_address) error = ProxyErrc::no_version_4_address;
    end(error);
}

void DialRun::start_over() {
    stream_.reset();
    step_ = Step::begin;
    go_on();
}

// ---- the first peer

const Proxy* DialRun::first_proxy() const noexcept {
    if (plan_.pre_proxy.kind != ProxyKind::none) return &plan_.pre_proxy;
    return plan_.proxy.kind != ProxyKind::none ? &plan_.proxy : nullptr;
}

HostAndPort DialRun::first_place() const {
    const Proxy* const proxy = first_proxy();
    return proxy ? HostAndPort{proxy->host, proxy->port} : plan_.place;
}

const std::string& DialRun::first_path() const noexcept {
    const Proxy* const proxy = first_proxy();
    return proxy ? proxy->path : plan_.options.unix_path;
}

bool DialRun::resolves_proxy() const noexcept {
    if (step_ == Step::resolve_pre_proxy) return true;
    return step_ == Step::resolve && first_proxy();
}

// ---- the steps

void DialRun::resolve(const HostAndPort& name, AddressFamily family) {
    const bool fresh = plan_.rules_are_fresh(EngineCore::of(user_.engine()).now_ns());
    found_.clear();
    std::optional<std::vector<Endpoint>> ruled = plan_.addresses.find(name.host, name.port, fresh);
    if (!ruled) return plan_.resolver->resolve(name.host, name.port, family, io_, found_);
    const int unwanted = family == AddressFamily::v4   ? AF_INET6
                         : family == AddressFamily::v6 ? AF_INET
                                                       : AF_UNSPEC;
    std::erase_if(*ruled, [&](const Endpoint& address) { return address.family() == unwanted; });
    found_ = std::move(*ruled);
    found_.empty() ? fail(ResolveErrc::no_address) : go_on();
}

void DialRun::connect() {
    const DialOptions& options = plan_.options;
    race_ = {};
    if (const std::string& path = first_path(); !path.empty()) {
        return local::connect(path, {.stream = options.stream}, io_, stream_);
    }
    RaceOptions racing{.delay = options.attempt_delay, .at_once = options.attempts_at_once};
    racing.connect.stream = options.stream;
    racing.connect.local = plan_.local;
    racing.connect.local_ports = options.local_ports;
    if (!options.interface.empty()) {
        if (options.interface.find('\0') != std::string::npos) {  // it would cut the name
            return fail({ENODEV, std::system_category()});
        }
        racing.connect.interface = ::if_nametoindex(options.interface.c_str());
        if (racing.connect.interface == 0) return fail({errno, std::system_category()});
    }
    // A socket of the other family cannot be bound to it; a port without an address implies IPv4.
    if (plan_.local) {
        std::erase_if(found_, [this](const Endpoint& address) {
            return address.family() != plan_.local->family();
        });
        if (found_.empty()) return fail(ResolveErrc::no_address);
    }
    sort_for_race(found_);
    race(std::move(found_), racing, io_, stream_, race_);
}

void DialRun::resolve_for(const Proxy& proxy, const HostAndPort& name) {
    const bool four = proxy.kind == ProxyKind::socks4;
    resolve(name, four ? AddressFamily::v4 : plan_.options.family);
}

void DialRun::shake_hands_with(const Proxy& proxy, const HostAndPort& name) {
    if (proxy.kind == ProxyKind::http || proxy.kind == ProxyKind::https) {
        if (!connect_) {
            connect_.emplace(
                proxy::ConnectRequest{.host = name.host,
                                      .port = name.port,
                                      .has_credentials = proxy.has_credentials,
                                      .user = proxy.user,
                                      .password = proxy.password,
                                      .authentication = plan_.options.proxy_authentication,
                                      .fields = plan_.options.proxy_fields,
                                      .hash = kTls ? &tls::hash_text : nullptr,
                                      .client_nonce = random_text()});
        }
        return proxy::run(*connect_, stream_, io_);
    }
    std::string host = name.host;
    if (resolves_here(proxy)) {
        DCHECK(!found_.empty());  // by the step before
        sort_for_race(found_);
        host = found_.front().host();
    }
    socks_.emplace(proxy, host, name.port);
    proxy::run(*socks_, stream_, io_);
}

void DialRun::send_header() {
    sockaddr_storage from{};
    sockaddr_storage to{};
    const int fd = stream_->native_handle();
    Kernel& kernel = EngineCore::of(user_.engine()).kernel();
    socklen_t size = sizeof from;
    int result = kernel.local_address(fd, reinterpret_cast<sockaddr*>(&from), &size);
    size = sizeof to;
    if (result >= 0) result = kernel.peer_address(fd, reinterpret_cast<sockaddr*>(&to), &size);
    if (result < 0) return fail(error_from_result(result));
    header_ = std::make_unique<OneWayMessage>(proxy::header(plan_.options.proxy_header, from, to));
    proxy::run(*header_, stream_, io_);
}

void DialRun::secure(const StartTls& start, const std::optional<tls::Context>& context,
                     const HostAndPort& peer) {
    if (start) return start(stream_, peer.host, io_);
    DCHECK(context && stream_);
    const tls::ClientOptions options{.server_name = peer.host,
                                     .session_key = std::to_string(peer.port)};
    tls::connect(*context, std::move(stream_), options, io_, secured_);
}

}  // namespace uaio
