// One connect of a Dialer: a sequence of steps over one stream, each an operation of the same Aio.
// Engine's thread, from its start on.
#pragma once

#include <uaio/dialer.h>

#include "transport/dialer/plan.h"
#include "transport/dialer/race.h"
#include "transport/proxy/connect.h"
#include "transport/proxy/dialogue.h"
#include "transport/proxy/socks.h"

#include <memory>
#include <optional>
#include <vector>

namespace uaio {

// Owns itself from the accepted submission to its end.
class DialRun {
public:
    // `report` may be null.
    DialRun(const DialPlan& plan, Aio& aio, StreamPtr& out, DialReport* report);

    // A starter; the Aio's owner is the DialRun.
    static void start(Aio& aio) noexcept;

private:
    // In order; steps that are not needed are skipped.
    enum class Step : std::uint8_t {
        begin,
        resolve,            // the peer of the socket
        connect,            // the socket
        resolve_pre_proxy,  // the address that a SOCKS pre-proxy connects to
        pre_proxy,
        proxy_tls,
        resolve_proxy,  // likewise for a SOCKS proxy
        proxy,
        header,
        tls,
        done,
    };

    template <class Work>
    void guarded(Work work) noexcept;
    void end(std::error_code error) noexcept;
    void fail(std::error_code error);
    void on_step();
    // Starts the next step that is needed. Throws std::bad_alloc.
    void go_on();
    bool is_needed(Step step) const noexcept;
    void begin_step();
    void note_time() noexcept;

    void resolve(const HostAndPort& name, AddressFamily family);
    void connect();
    void resolve_for(const Proxy& proxy, const HostAndPort& name);
    void shake_hands_with(const Proxy& proxy, const HostAndPort& name);
    void send_header();
    void secure(const StartTls& start, const std::optional<tls::Context>& context,
                const HostAndPort& peer);
    // Restarts on another connection.
    void start_over();

    // The peer of the socket, and the proxy that it is, if any.
    const Proxy* first_proxy() const noexcept;
    HostAndPort first_place() const;
    HostAndPort behind_pre_proxy() const { return {plan_.proxy.host, plan_.proxy.port}; }
    const std::string& first_path() const noexcept;
    // True if this step resolves a proxy's name.
    bool resolves_proxy() const noexcept;

    const DialPlan& plan_;
    Aio& user_;
    StreamPtr& out_;
    DialReport own_report_;
    DialReport& report_;
    StreamPtr stream_;
    StreamPtr secured_;  // over the former stream_, once TLS has started
    std::vector<Endpoint> found_;
    RaceReport race_;
    std::optional<proxy::SocksDialogue> socks_;
    std::optional<proxy::ConnectDialogue> connect_;
    std::unique_ptr<proxy::Dialogue> header_;
    Step step_ = Step::begin;
    std::int64_t step_began_ns_ = 0;
    Aio io_;
};

}  // namespace uaio
