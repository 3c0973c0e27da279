// The setting of a scenario: a library, its connection, and the scripted peer at the other end. It
// provides the steps, each of which waits for the event in its name, and then concludes: a
// follow-up write of four bytes, the peer's part of every write, the end of its stream, and each
// operation in words. For the scenario's thread.
#pragma once

#include "tests/differential/driver.h"
#include "tests/differential/observation.h"
#include "tests/differential/peer.h"
#include "tests/differential/transfer.h"

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace differential {

// A write of this size blocks, since the peer does not read.
inline constexpr std::size_t kBlocking = Peer::kBlocking;

class Stage {
public:
    // Connects. Throws if that fails.
    explicit Stage(Driver& driver);

    Driver& driver() noexcept { return driver_; }
    Peer& peer() noexcept { return peer_; }

    // --- Operations ---

    // An operation without an iovec list. The report groups those of one name.
    Transfer& make(std::string name);
    // With an iovec list of `size` bytes.
    Transfer& make(std::string name, std::size_t size, std::size_t entries = 1);
    Transfer& make_without_callback(std::string name, std::size_t size);
    // The timeout of its later submissions.
    void set_timeout(Transfer& transfer, std::chrono::milliseconds timeout);
    void submit(Verb verb, Transfer& transfer);
    // By another verb of the driver; the bytes are not compared.
    void submit(Transfer& transfer, const std::function<void(Operation&)>& verb);
    // A request by the library's client, which owns the connection from then on.
    void transact(Transfer& transfer, std::string_view method);
    // Records a submission by the scenario itself, through driver(), possibly on another thread.
    void prepare(Verb verb, Transfer& transfer);
    Transfer& start(Verb verb, std::string name, std::size_t size);
    // Frees the operation.
    void free(Transfer& transfer);
    // Closes the connection; there will be no follow-up.
    void close();
    const ObservedSocket& socket() const noexcept { return *socket_; }

    // --- Waiting; false, and noted, after kPatience ---

    bool until(const char* what, const std::function<bool()>& done);
    bool until_ended(Transfer& transfer);
    // The library makes no more progress by itself.
    bool until_idle();
    // Bytes have reached the peer, the sockets are full, and the library waits.
    bool until_blocked();
    // The library's socket has received the peer's reset.
    bool until_hung_up();
    // The peer has the head of a request, and removes it; received() holds the rest.
    bool until_head();
    // The peer reads until the operation has ended.
    bool read_until_ended(Transfer& transfer);

    // --- Noting ---

    void note(std::string name, std::string value);
    void note(std::string name, const Ending& ending);
    // Several threads submit the writes: the peer may get them in any order, but each `group` of
    // them in the order of prepare(), as one thread submitted them.
    void any_order(std::size_t group) { group_ = group; }

    // Runs the conclusion and returns all observations. Once.
    Observation conclude();

private:
    void follow_up();
    void drain(const Transfer* last);
    void await_all();
    bool idle();
    void compare_writes();
    void compare_in_any_order();
    void compare_reads();
    std::string end_in_words() const;
    void report();

    Driver& driver_;
    Peer peer_;
    std::optional<ObservedSocket> socket_;
    std::deque<Transfer> transfers_;
    std::vector<Submission*> writes_;
    std::vector<Submission*> reads_;
    Observation observation_;
    std::string end_;
    bool closed_ = false;
    bool follows_up_ = true;
    std::size_t group_ = 0;  // of writes that keep their order; 0: all
    bool garbled_ = false;
};

}  // namespace differential
