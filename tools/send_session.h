// One run of uaio-send: a poll(2) loop over a connection, by Engine::fd(), and standard input and
// output. Each direction has one buffer, which is refilled only when empty, so a slow side stops
// the other and memory is bounded. For the main thread.
#pragma once

#include <uaio/dialer.h>
#include <uaio/engine.h>

#include "tools/send_report.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace uaio::send {

class Session {
public:
    // `signals` is a signalfd(2) of the signals that end the session.
    Session(const Arguments& arguments, int signals)
        : arguments_(arguments),
          signals_(signals),
          dialer_(arguments.target, arguments.dial),
          connect_(engine_, [this](Aio&) { on_connected(); }),
          read_(engine_, [this](Aio&) { on_read(); }),
          write_(engine_, [this](Aio&) { on_written(); }),
          progress_(!arguments.quiet),
          descriptor_(engine_.fd()) {}

    int run() {
        dialer_.connect(connect_, stream_, report_);
        while (turn()) {
        }
        if (ending_ == Ending::code) return code_;
        return static_cast<int>(print_failure(arguments_.target, error_, report_));
    }

private:
    enum class Phase : std::uint8_t { connecting, transferring, stopping, closing };
    enum class Input : std::uint8_t { wanted, being_sent, ended };
    enum class Ending : std::uint8_t { code, failure };

    static constexpr std::size_t kBuffer = std::size_t{128} * 1024;
    static constexpr Clock::time_point kNever = Clock::time_point::max();
    static constexpr std::chrono::nanoseconds kCloseTime = std::chrono::seconds(2);

    // Waits once and handles the events. Returns false when it has ended and no operation is left.
    bool turn() {
        engine_.run_once(std::chrono::nanoseconds(0));
        if (phase_ < Phase::stopping && Clock::now() >= limit_) stop(Errc::timed_out);
        if (phase_ == Phase::transferring) look_at_ends();
        if (phase_ == Phase::stopping && !connect_.busy() && !read_.busy() && !write_.busy()) {
            close();
        }
        if (phase_ == Phase::stopping) {
            connect_.cancel();
            read_.cancel();
            write_.cancel();
        }
        if (phase_ == Phase::closing &&
            (!stream_ || stream_->native_handle() < 0 || Clock::now() >= limit_)) {
            return false;
        }
        const bool flows = phase_ == Phase::transferring;
        std::array<pollfd, 4> ready{{
            {descriptor_, POLLIN, 0},
            {signals_, POLLIN, 0},
            {flows && input_ == Input::wanted ? STDIN_FILENO : -1, POLLIN, 0},
            {flows && !output_.empty() ? STDOUT_FILENO : -1, POLLOUT, 0},
        }};
        if (::poll(ready.data(), ready.size(), patience_ms()) < 0 && errno != EINTR) {
            fail_here("poll");
        }
        if (ready[1].revents != 0) on_signal();
        if (ready[2].revents != 0) take_input();
        if (ready[3].revents != 0) give_output();
        if (flows) progress_.show(sent_, received_);
        return true;
    }

    // ---- the connection

    void on_connected() {
        if (connect_.result()) return stop(connect_.result());
        phase_ = phase_ == Phase::stopping ? phase_ : Phase::transferring;
        if (phase_ == Phase::stopping) return;
        if (arguments_.verbose) print_tls(tls::details(*stream_));
        in_.resize(kBuffer);
        out_.resize(kBuffer);
        last_received_ = Clock::now();
        read();
    }

    void read() {
        read_.set_iov(out_.data(), out_.size());
        stream_->read(read_);
    }

    void on_read() {
        received_ += read_.count();
        if (phase_ == Phase::stopping) return;
        last_received_ = Clock::now();
        if (read_.result() == Errc::end_of_stream) {
            peer_ended_ = true;
        } else if (read_.result() == Errc::closed && write_.busy()) {
            return;  // closed by a failed write, whose callback follows with the error
        } else if (read_.result()) {
            stop(write_error_ ? write_error_ : read_.result());
        } else {
            output_ = std::span(out_.data(), read_.count());
        }
    }

    void on_written() {
        sent_ += write_.count();
        if (phase_ == Phase::stopping) return;
        input_ = write_.result() ? Input::ended : Input::wanted;
        if (!write_.result()) return;
        // The server's last bytes, and its reason for closing, are still to be read.
        write_error_ = write_.result();
        if (!read_.busy() && output_.empty()) stop(write_error_);
    }

    // ---- standard input and output

    void take_input() {
        const ssize_t count = ::read(STDIN_FILENO, in_.data(), in_.size());
        if (count < 0) {
            if (errno != EINTR && errno != EAGAIN) fail_here("standard input");
            return;
        }
        if (count == 0) {
            input_ = Input::ended;
            last_received_ = Clock::now();  // quit_after counts from here
            return;
        }
        input_ = Input::being_sent;
        write_.set_iov(in_.data(), static_cast<std::size_t>(count));
        stream_->write_all(write_);
    }

    // Does not wait for a pipe's reader: room for one byte is room for PIPE_BUF (pipe(7)).
    void give_output() {
        do {
            const std::size_t most =
                blocks_ ? std::min<std::size_t>(output_.size(), PIPE_BUF) : output_.size();
            const ssize_t count = ::write(STDOUT_FILENO, output_.data(), most);
            if (count < 0) {
                if (errno != EINTR && errno != EAGAIN) fail_here("standard output");
                return;
            }
            output_ = output_.subspan(static_cast<std::size_t>(count));
        } while (!output_.empty() && has_room());
        if (output_.empty()) read();
    }

    static bool has_room() {
        pollfd output{STDOUT_FILENO, POLLOUT, 0};
        return ::poll(&output, 1, 0) == 1;
    }

    // Files accept everything at once.
    static bool may_block(int fd) {
        struct stat what {};
        if (::fstat(fd, &what) != 0) return true;
        return !S_ISREG(what.st_mode) && !(S_ISCHR(what.st_mode) && ::isatty(fd) == 0);
    }

    // ---- the end

    void look_at_ends() {
        if (!output_.empty()) return;
        const bool input_is_over = input_ == Input::ended || (terminal_ && input_ == Input::wanted);
        if (peer_ended_ && input_is_over) return finish(ExitCode::done);
        if (quits() && Clock::now() >= last_received_ + *arguments_.quit_after)
            finish(ExitCode::done);
    }

    // Returns whether quit_after is running.
    bool quits() const {
        return arguments_.quit_after && input_ == Input::ended && !write_error_ && output_.empty();
    }

    // Returns the time until the next event that no descriptor reports.
    int patience_ms() const {
        std::int64_t wait = phase_ == Phase::transferring ? progress_.pause_ms() : -1;
        const auto at_most = [&wait](Clock::time_point moment) {
            constexpr std::int64_t kMost = 60'000;
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(moment - Clock::now());
            const std::int64_t time = std::clamp<std::int64_t>(left.count(), 0, kMost);
            wait = wait < 0 ? time : std::min(wait, time);
        };
        if (limit_ != kNever && phase_ != Phase::stopping) at_most(limit_);
        if (phase_ == Phase::transferring && quits()) {
            at_most(last_received_ + *arguments_.quit_after);
        }
        return static_cast<int>(wait);
    }

    void finish(ExitCode code) {
        phase_ = Phase::stopping;
        code_ = static_cast<int>(code);
    }

    void stop(std::error_code error) {
        if (phase_ == Phase::stopping) return;
        phase_ = Phase::stopping;
        ending_ = Ending::failure;
        error_ = error;
    }

    // Reports an errno that does not come from the network.
    void fail_here(const char* what) {
        std::fprintf(stderr, "uaio-send: %s: %s\n", what, std::strerror(errno));
        finish(ExitCode::this_machine);
    }

    // The first signal ends all operations, the second one the program.
    void on_signal() {
        signalfd_siginfo got{};
        if (::read(signals_, &got, sizeof got) != sizeof got) return;
        const int code = 128 + static_cast<int>(got.ssi_signo);
        if (interrupted_) ::_exit(code);
        interrupted_ = true;
        phase_ = Phase::stopping;
        code_ = code;
    }

    // Reports and closes: sends TLS's close_notify and reads the rest from the server, for at most
    // kCloseTime and not beyond --max-time.
    void close() {
        phase_ = Phase::closing;
        if (arguments_.verbose) print_dial(report_);
        if (report_.phase == DialPhase::done) {
            progress_.finish(sent_, received_, arguments_.verbose);
        }
        limit_ = std::min(limit_, Clock::now() + kCloseTime);
        if (stream_) stream_->close();
    }

    Clock::time_point limit() const {
        return arguments_.max_time ? began_ + *arguments_.max_time : kNever;
    }

    const Arguments& arguments_;
    const int signals_;
    const bool terminal_ = ::isatty(STDIN_FILENO) == 1;
    const bool blocks_ = may_block(STDOUT_FILENO);
    const Clock::time_point began_ = Clock::now();
    Clock::time_point limit_ = limit();  // of the whole run; later, of closing
    Engine engine_;
    Dialer dialer_;
    DialReport report_;
    StreamPtr stream_;
    Aio connect_;
    Aio read_;
    Aio write_;
    Progress progress_;
    const int descriptor_;               // readable when the engine has work
    std::vector<std::byte> in_;          // from standard input
    std::vector<std::byte> out_;         // to standard output
    std::span<const std::byte> output_;  // the unwritten part of out_
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
    Clock::time_point last_received_;
    std::error_code write_error_;
    std::error_code error_;
    Phase phase_ = Phase::connecting;
    Input input_ = Input::wanted;
    Ending ending_ = Ending::code;
    bool peer_ended_ = false;
    bool interrupted_ = false;
    int code_ = 0;
};

}  // namespace uaio::send
