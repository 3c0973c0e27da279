#include "tests/differential/transfer.h"

#include <algorithm>
#include <cstring>

namespace differential {
namespace {

// Partial counts of large transfers depend on the kernel's buffers and are only compared with the
// other end's.
constexpr std::size_t kLarge = 1 << 20;

std::string count_in_words(std::size_t count, std::size_t total) {
    if (count == 0 || count == total || total < kLarge) return std::to_string(count);
    return count < total ? "part" : "more than all";
}

}  // namespace

std::string gather(const std::vector<iovec>& entries, std::size_t readable) {
    std::string bytes;
    for (std::size_t i = 0; i < std::min(entries.size(), readable); ++i) {
        if (entries[i].iov_base) {
            bytes.append(static_cast<const char*>(entries[i].iov_base), entries[i].iov_len);
        }
    }
    return bytes;
}

void Transfer::set_bytes(std::size_t size, std::size_t entries) {
    bytes_ = std::make_shared<std::string>(size, '\0');
    std::uint64_t word = number_;  // the first byte identifies the transfer
    for (std::size_t at = 0; at < size; at += sizeof word) {
        std::memcpy(bytes_->data() + at, &word, std::min(sizeof word, size - at));
        word = (word * 0x9e3779b97f4a7c15 + at + number_) & 0x7f7f7f7f7f7f7f7f;
    }
    std::vector<std::size_t> lengths(entries, size / entries);
    lengths.back() += size % entries;
    set_entries(cut(lengths));
}

std::vector<iovec> Transfer::cut(const std::vector<std::size_t>& lengths) {
    std::vector<iovec> entries;
    std::size_t at = 0;
    for (const std::size_t length : lengths) {
        entries.push_back({bytes_->data() + at, length});
        at += length;
    }
    return entries;
}

std::string Transfer::set_entries(const std::vector<iovec>& entries, std::size_t readable) {
    std::string result = operation->set_iov(entries);
    if (result == "ok") {
        entries_ = entries;
        readable_ = readable;
    }
    return result;
}

void Transfer::submitted(Verb verb) {
    auto& made = *submissions.emplace_back(std::make_unique<Submission>());
    made.verb = verb;
    made.entries = entries_;
    made.bytes = bytes_;
    if (made.writes()) made.sent = gather(entries_, readable_);
    for (const iovec& entry : entries_)
        made.total += entry.iov_len;
}

bool Transfer::ended() const { return !record || record->endings().size() >= submissions.size(); }

std::string Transfer::in_words() const {
    if (!record) return in_words(*submissions.back(), operation->getters()) + ", by a wait";
    const std::vector<Ending> endings = record->endings();
    std::string words;
    for (std::size_t i = 0; i < submissions.size(); ++i) {
        if (i > 0) words += ", then ";
        words += i < endings.size() ? in_words(*submissions[i], endings[i]) : "no callback";
    }
    for (std::size_t i = submissions.size(); i < endings.size(); ++i) {
        words += ", another callback with " + endings[i].result;
    }
    return words;
}

std::string Transfer::in_words(const Submission& submission, const Ending& ending) const {
    std::string words = ending.result + '/' + count_in_words(ending.count, submission.total);
    if (submission.comparable && submission.found != ending.count) {
        const bool less = ending.count < submission.found;
        words += submission.writes() ? ", but the peer has " : ", but the buffer has ";
        words += less ? "more" : "less";
    }
    return words;
}

}  // namespace differential
