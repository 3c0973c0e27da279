#include "transport/dialer/race.h"

#include <uaio/provider.h>

#include "base/check.h"
#include "transport/stream/admit.h"
#include "transport/stream/starters.h"

#include <algorithm>
#include <list>
#include <memory>
#include <new>
#include <utility>

namespace uaio {
namespace {

// A race under way. Owns itself from the accepted submission to its end.
class Race {
public:
    Race(std::vector<Endpoint>&& addresses, const RaceOptions& options, Aio& aio, StreamPtr& out,
         RaceReport& report)
        : addresses_(std::move(addresses)),
          options_(options),
          user_(aio),
          out_(out),
          report_(report),
          timer_(aio.engine(), [this](Aio&) { on_timer(); }) {
        DCHECK(!addresses_.empty());
        timer_.set_timeout(options.delay);
    }

    static void start(Aio& aio) noexcept {
        Race& self = *static_cast<Race*>(Provider::owner(aio));
        const Admission admission = admit_without_buffers(aio, false);
        if (admission.refused != Errc{}) return self.end(admission.refused);
        Provider::park(aio, [](Aio& parked) noexcept {
            static_cast<Race*>(Provider::owner(parked))->settle(Provider::cancel_reason(parked));
        });
        self.go_on(true);
    }

private:
    enum class State : std::uint8_t {
        racing,    // at least one attempt is pending
        settling,  // decided; waits for the pending attempts
    };

    struct Attempt {
        Attempt(Race& of, const Endpoint& to)
            : race(of),
              endpoint(to),
              aio(of.user_.engine(), [this](Aio&) { race.on_end(*this); }) {}
        Race& race;
        Endpoint endpoint;
        bool running = true;
        StreamPtr stream;
        Aio aio;
    };

    // The counts are those of the attempts. A stream is kept only by the attempt that won.
    bool invariants_hold() const noexcept {
        const auto runs = [](const Attempt& attempt) { return attempt.running; };
        const auto is_empty = [](const Attempt& attempt) {
            return attempt.running || !attempt.stream;
        };
        if (std::ranges::count_if(attempts_, runs) != static_cast<std::ptrdiff_t>(running_))
            return false;
        if (!std::ranges::all_of(attempts_, is_empty)) return false;
        if (attempts_.size() > next_ || next_ > addresses_.size()) return false;
        if (winner_ && (state_ == State::racing || error_)) return false;
        return !timing_ || timer_.busy();
    }

    // The last call of every callback; may free this. `due`: the next address may be tried.
    void go_on(bool due) noexcept {
        DCHECK(invariants_hold());
        if (state_ == State::racing && due && may_try()) try_next();
        if (state_ == State::racing && running_ == 0) settle(error_);
        if (state_ == State::racing && may_try() && !timing_) start_timer();
        if (state_ == State::settling && running_ == 0 && !timing_) end(error_);
    }

    bool may_try() const noexcept {
        return next_ < addresses_.size() && running_ < std::max(options_.at_once, 1u);
    }

    void try_next() noexcept {
        try {
            Attempt& attempt = attempts_.emplace_back(*this, addresses_[next_++]);
            ++running_;
            ++report_.attempts;
            tcp::connect(attempt.endpoint, options_.connect, attempt.aio, attempt.stream);
        } catch (const std::bad_alloc&) {
            settle(Errc::not_enough_memory);
        }
    }

    void start_timer() noexcept {
        timing_ = true;
        Provider::submit(user_.engine(), timer_, &start_as_timer, nullptr);
    }

    // A cancelled timer starts again: the delay counts from the last attempt.
    void on_timer() noexcept {
        timing_ = false;
        go_on(timer_.result() == Errc::timed_out);
    }

    void on_end(Attempt& attempt) noexcept {
        DCHECK(attempt.running && running_ > 0);
        DCHECK(!attempt.aio.result() == (attempt.stream != nullptr));
        --running_;
        attempt.running = false;
        const std::error_code error = attempt.aio.result();
        if (state_ == State::settling) {
            attempt.stream.reset();  // too late
        } else if (error) {
            error_ = error;
            report_.peer = attempt.endpoint;
            if (timing_) timer_.cancel();
        } else {
            winner_ = std::move(attempt.stream);
            report_.peer = attempt.endpoint;
            settle({});
        }
        go_on(true);
    }

    void settle(std::error_code error) noexcept {
        if (winner_ && error) winner_.reset();  // cancelled while the others ended
        error_ = error;
        state_ = State::settling;
        if (timing_) timer_.cancel();
        for (Attempt& attempt : attempts_) {
            if (error && attempt.running) report_.peer = attempt.endpoint;
            attempt.aio.cancel();
        }
    }

    void end(std::error_code error) noexcept {
        const std::unique_ptr<Race> freed(this);
        DCHECK(running_ == 0 && !timing_ && invariants_hold());
        DCHECK(!error == (winner_ != nullptr));
        if (!error) out_ = std::move(winner_);
        Provider::finish(user_, error);
    }

    const std::vector<Endpoint> addresses_;
    const RaceOptions options_;
    Aio& user_;
    StreamPtr& out_;
    RaceReport& report_;
    std::list<Attempt> attempts_;  // Attempts must not move; an empty list needs no memory
    std::size_t next_ = 0;
    unsigned running_ = 0;
    State state_ = State::racing;
    bool timing_ = false;
    StreamPtr winner_;
    std::error_code error_;
    Aio timer_;
};

}  // namespace

void sort_for_race(std::vector<Endpoint>& addresses) noexcept {
    const auto is_six = [](const Endpoint& endpoint) { return endpoint.family() == AF_INET6; };
    // Moves one address of the wanted family forward at a time.
    for (std::size_t at = 0; at < addresses.size(); ++at) {
        const auto begin = addresses.begin() + static_cast<std::ptrdiff_t>(at);
        const bool wanted = at % 2 == 0;
        const auto found = std::find_if(begin, addresses.end(), [&](const Endpoint& endpoint) {
            return is_six(endpoint) == wanted;
        });
        if (found == addresses.end()) return;
        std::rotate(begin, found, found + 1);
    }
}

void race(std::vector<Endpoint> addresses, const RaceOptions& options, Aio& aio, StreamPtr& out,
          RaceReport& report) noexcept {
    std::unique_ptr<Race> racing(new (std::nothrow)
                                     Race(std::move(addresses), options, aio, out, report));
    submit_owned(std::move(racing), aio, &Race::start);
}

}  // namespace uaio
