// Explores every interleaving of two threads that write to a socket and its engine: the steps of
// the threads and of the engine around transport/socket/send_right.h, whose every member is one
// atomic step. No step here calls two of them. The engine's queue is that of
// transport/socket/write_queue.cc, without gathering.
#include "transport/socket/send_right.h"

#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::send_right_test {

constexpr unsigned kThreads = 2;
constexpr unsigned kWrites = 2;  // of each thread and of the engine

// A write, or a part of it: "a0" is the first write of thread a, "e1" the second of the engine.
using Write = std::string;

struct Mail {
    enum class Kind : char { posted = 'p', rest = 'r', returned = 'b' } kind;
    Write write;
};

struct Thread {
    enum class At : char { enter = 'e', send = 's', post = 'p', leave = 'l', give_back = 'g' };
    At at = At::enter;
    unsigned written = 0;
};

class World {
public:
    explicit World(bool may_close) : may_close_(may_close) {}

    // The number of steps that are possible now.
    unsigned choices() const {
        unsigned sum = 0;
        for (unsigned i = 0; i < kThreads; ++i)
            sum += thread_choices(i);
        return sum + engine_choices();
    }
    void step(unsigned choice) {
        for (unsigned i = 0; i < kThreads; ++i) {
            if (choice < thread_choices(i)) return step_thread(i, choice);
            choice -= thread_choices(i);
        }
        step_engine(choice);
        check();
    }
    std::string key() const {
        std::uint32_t word = 0;
        static_assert(sizeof right_ == sizeof word);
        std::memcpy(&word, &right_, sizeof word);
        std::string text = std::to_string(word);
        for (const Thread& thread : threads_)
            text += static_cast<char>(thread.at) + std::to_string(thread.written);
        for (const Mail& mail : mailbox_)
            text += static_cast<char>(mail.kind) + mail.write;
        text += '|';
        for (const Write& write : queue_)
            text += write;
        for (const Write& due : due_)
            text += '!' + due;
        text += '|' + wire_ + '|' + std::to_string(engine_written_);
        for (const bool flag : {sending_, awaits_, lends_, closed_, fd_closed_})
            text += flag ? '1' : '0';
        return text;
    }
    void check_end() const {
        CHECK(mailbox_.empty());
        CHECK_FALSE(awaits_);
        CHECK((!closed_ || fd_closed_));
        if (closed_) return;
        CHECK(queue_.empty());
        for (const char writer : {'a', 'b', 'e'}) {
            std::string own;
            for (std::size_t i = 0; i < wire_.size(); i += 3) {
                if (wire_[i] == writer) own += wire_.substr(i, 3);
            }
            // In order, and the rest of a write right behind its part.
            std::string expected;
            for (unsigned i = 0; i < kWrites; ++i) {
                const std::string write = std::string(1, writer) + std::to_string(i);
                const bool split = own.find(write + "<") != std::string::npos;
                if (split) CHECK(wire_.find(write + "<" + write + ">") != std::string::npos);
                expected += split ? write + "<" + write + ">" : write + "=";
            }
            CHECK(own == expected);
        }
    }

private:
    // ---- the threads

    unsigned thread_choices(unsigned i) const {
        const Thread& thread = threads_[i];
        if (thread.written == kWrites) return 0;
        if (thread.at == Thread::At::enter) return 2;  // it may send, or not
        return thread.at == Thread::At::send ? 3 : 1;  // everything, a part, nothing
    }
    void step_thread(unsigned i, unsigned choice) {
        Thread& thread = threads_[i];
        const Write write =
            std::string(1, static_cast<char>('a' + i)) + std::to_string(thread.written);
        const auto next = [&thread] {
            thread.at = Thread::At::enter;
            ++thread.written;
        };
        switch (thread.at) {
            case Thread::At::enter:
                thread.at = right_.enter(choice == 0) ? Thread::At::send : Thread::At::post;
                break;
            case Thread::At::post:
                mailbox_.push_back({Mail::Kind::posted, write});
                next();
                break;
            case Thread::At::send:
                check();
                REQUIRE_FALSE(fd_closed_);
                if (choice == 0) {
                    wire_ += write + "=";
                    thread.at = Thread::At::leave;
                } else {
                    if (choice == 1) wire_ += write + "<";
                    mailbox_.push_back({Mail::Kind::rest, write + (choice == 1 ? ">" : "=")});
                    next();
                }
                break;
            case Thread::At::leave:
                if (right_.leave()) {
                    next();
                } else {
                    thread.at = Thread::At::give_back;
                }
                break;
            case Thread::At::give_back:
                mailbox_.push_back({Mail::Kind::returned, ""});
                next();
                break;
        }
    }
    // One sender at a time.
    void check() const {
        unsigned senders = sending_ ? 1 : 0;
        for (const Thread& thread : threads_)
            senders += thread.at == Thread::At::send;
        REQUIRE(senders <= 1);
    }

    // ---- the engine: takes mail, writes itself, completes its send, closes

    bool may_write() const { return engine_written_ < kWrites && !closed_; }
    unsigned engine_choices() const {
        if (!due_.empty()) return 1;
        return (mailbox_.empty() ? 0U : 1U) + (may_write() ? 1U : 0U) + (sending_ ? 1U : 0U) +
               (may_close_ && !closed_ ? 1U : 0U);
    }
    void step_engine(unsigned choice) {
        if (!due_.empty()) return continue_mail();
        if (!mailbox_.empty() && choice-- == 0) return take_mail();
        if (may_write() && choice-- == 0)
            return submit("e" + std::to_string(engine_written_++) + "=");
        if (sending_ && choice-- == 0) {
            sending_ = false;
            wire_ += queue_.front();
            queue_.pop_front();
            if (closed_) return close_if_unused();
            return start_next();
        }
        closed_ = true;
        static_cast<void>(owns_right());
        queue_.erase(queue_.begin() + (sending_ ? 1 : 0), queue_.end());
        close_if_unused();
    }
    void take_mail() {
        const Mail mail = mailbox_.front();
        mailbox_.pop_front();
        switch (mail.kind) {
            case Mail::Kind::posted:
                if (!right_.arrived()) awaits_ = true;
                lends_ = true;
                if (!closed_) due_.push_back(mail.write + "=");
                due_.push_back(kOffer);
                break;
            case Mail::Kind::rest:
                right_.regain();
                awaits_ = false;
                lends_ = true;
                if (closed_) return close_if_unused();
                queue_.push_front(mail.write);
                due_.push_back(kStartNext);
                break;
            case Mail::Kind::returned:
                right_.regain();
                awaits_ = false;
                if (closed_) return close_if_unused();
                due_.push_back(kStartNext);
                break;
        }
    }
    // The rest of what a mail does.
    void continue_mail() {
        const Write due = due_.front();
        due_.pop_front();
        if (due == kOffer) return offer();
        if (due == kStartNext) return start_next();
        submit(due);
    }
    bool owns_right() {
        if (right_.is_engines()) return true;
        lends_ = false;
        awaits_ = !right_.take();
        return !awaits_;
    }
    void submit(const Write& write) {
        queue_.push_back(write);
        if (!sending_ && owns_right()) sending_ = true;
    }
    void start_next() {
        sending_ = !queue_.empty();
        if (!sending_) offer();
    }
    void offer() {
        if (lends_ && !sending_ && !awaits_ && !closed_ && right_.is_engines()) right_.offer();
    }
    void close_if_unused() { fd_closed_ = !sending_ && !awaits_; }

    inline static const Write kOffer = "offer";
    inline static const Write kStartNext = "next";

    const bool may_close_;
    SendRight right_;
    Thread threads_[kThreads];
    std::deque<Mail> mailbox_;
    std::deque<Write> queue_;
    std::deque<Write> due_;  // steps of the mail that is being delivered
    std::string wire_;
    unsigned engine_written_ = 0;
    bool sending_ = false;
    bool awaits_ = false;
    bool lends_ = false;
    bool closed_ = false;
    bool fd_closed_ = false;
};

// Visits every state that can be reached. A world cannot be copied, so each is made by its path.
struct Exploration {
    explicit Exploration(bool may_close) : closes(may_close) { explore(); }

    std::unique_ptr<World> at(const std::vector<unsigned>& path) const {
        auto world = std::make_unique<World>(closes);
        for (const unsigned choice : path)
            world->step(choice);
        return world;
    }
    void explore() {
        std::vector<std::vector<unsigned>> open = {{}};
        while (!open.empty()) {
            const std::vector<unsigned> path = open.back();
            open.pop_back();
            const std::unique_ptr<World> world = at(path);
            if (!states.insert(world->key()).second) continue;
            const unsigned choices = world->choices();
            if (choices == 0) {
                ++ends;
                world->check_end();
            }
            for (unsigned choice = 0; choice < choices; ++choice) {
                open.push_back(path);
                open.back().push_back(choice);
            }
        }
    }

    const bool closes;
    std::set<std::string> states;
    unsigned ends = 0;
};

TEST_CASE("in every interleaving one thread sends at a time, in order, and nothing is left") {
    const Exploration exploration(false);
    CHECK(exploration.states.size() > 10'000);
    CHECK(exploration.ends > 100);
}

TEST_CASE("in every interleaving a close waits for the thread that sends, and ends") {
    const Exploration exploration(true);
    CHECK(exploration.states.size() > 10'000);
    CHECK(exploration.ends > 100);
}

}  // namespace uaio::send_right_test
