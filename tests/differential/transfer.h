// One operation on the stage: its buffer, its iovec list, all its submissions, and the observations
// in words. For the scenario's thread.
#pragma once

#include "tests/differential/driver.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace differential {

// The iovec list of one submission, and how much of it the other end has.
struct Submission {
    Verb verb;
    std::vector<iovec> entries;
    std::shared_ptr<std::string> bytes;  // keeps the entries' memory
    std::string sent;                    // for a write, the bytes in the list's order
    std::size_t total = 0;
    std::size_t found = 0;
    bool comparable = false;  // `found` is known

    bool writes() const { return verb == Verb::write_all || verb == Verb::write; }
};

class Transfer {
public:
    Transfer(std::string name, unsigned number) : name_(std::move(name)), number_(number) {}

    std::shared_ptr<Record> record;
    std::unique_ptr<Operation> operation;
    std::vector<std::unique_ptr<Submission>> submissions;
    bool timed = false;  // ends by itself eventually

    const std::string& name() const noexcept { return name_; }

    // Sets a fresh buffer of `size` bytes, cut into `entries` entries. Its bytes differ from those
    // of every other transfer, and none of them is 0xff.
    void set_bytes(std::size_t size, std::size_t entries = 1);
    // Sets entries of the caller's own; the bytes of `readable` of them may be read.
    std::string set_entries(const std::vector<iovec>& entries, std::size_t readable = SIZE_MAX);
    // The bytes of the current buffer.
    std::string& bytes() noexcept { return *bytes_; }
    // All entries of an iovec list in that buffer, by length.
    std::vector<iovec> cut(const std::vector<std::size_t>& lengths);

    // Records a submission; called before the verb.
    void submitted(Verb verb);
    bool ended() const;
    // The result of an ended transfer's last callback, as `result/count`, and whether it matches
    // the other end.
    std::string in_words() const;

private:
    std::string in_words(const Submission& submission, const Ending& ending) const;

    std::string name_;
    unsigned number_;
    std::shared_ptr<std::string> bytes_ = std::make_shared<std::string>();
    std::vector<iovec> entries_;
    std::size_t readable_ = SIZE_MAX;
};

// The bytes that the entries cover.
std::string gather(const std::vector<iovec>& entries, std::size_t readable = SIZE_MAX);

}  // namespace differential
