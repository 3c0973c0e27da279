// One operation on the stage: its buffer, its vector, every submission of it, and how what was seen
// of it is put into words. For the scenario's thread.
#pragma once

#include "tests/differential/driver.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace differential {

// What one submission was to transfer, and how much of it was found at the other end.
struct Submission {
    Verb verb;
    std::vector<iovec> entries;
    std::shared_ptr<std::string> bytes;  // keeps the entries' memory
    std::string sent;                    // for a write, the bytes in vector order
    std::size_t total = 0;
    std::size_t found = 0;
    bool comparable = false;  // found is known

    bool writes() const { return verb == Verb::write_all || verb == Verb::write; }
};

class Transfer {
public:
    Transfer(std::string name, unsigned number) : name_(std::move(name)), number_(number) {}

    std::shared_ptr<Record> record;
    std::unique_ptr<Operation> operation;
    std::vector<std::unique_ptr<Submission>> submissions;
    bool timed = false;  // ends by itself, some day

    const std::string& name() const noexcept { return name_; }

    // Sets a fresh buffer of so many bytes, cut into so many entries. Its bytes are unlike those of
    // every other transfer, and none of them is 0xff.
    void set_bytes(std::size_t size, std::size_t entries = 1);
    // Sets entries of the caller's own; the bytes of `readable` of them can be looked at.
    std::string set_entries(const std::vector<iovec>& entries, std::size_t readable = SIZE_MAX);
    // The bytes of the present buffer.
    std::string& bytes() noexcept { return *bytes_; }
    // All entries of a vector in that buffer, by length.
    std::vector<iovec> cut(const std::vector<std::size_t>& lengths);

    // Notes a submission; before the verb is called.
    void submitted(Verb verb);
    bool ended() const;
    // How the last callback of an ended transfer saw it, as `result/count`, and whether that is
    // what the other end has.
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
