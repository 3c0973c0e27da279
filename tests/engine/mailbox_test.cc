#include "engine/mailbox.h"

#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace uaio {
namespace {

struct Letter : MailboxEntry {
    unsigned sender = 0;
    unsigned number = 0;
};

TEST_CASE("an empty mailbox returns no entry") {
    Mailbox mailbox;
    CHECK(mailbox.empty());
    CHECK(mailbox.take() == nullptr);
}

TEST_CASE("a mailbox delivers entries in order, and only the first push requires a wake") {
    Mailbox mailbox;
    Letter letters[3];
    CHECK(mailbox.push(letters[0]));
    CHECK(!mailbox.push(letters[1]));
    CHECK(!mailbox.push(letters[2]));
    CHECK(!mailbox.empty());
    MailboxEntry* entry = mailbox.take();
    for (Letter& letter : letters) {
        CHECK(entry == &letter);
        entry = entry->next;
    }
    CHECK(entry == nullptr);
    CHECK(mailbox.empty());
    CHECK(mailbox.push(letters[0]));
}

TEST_CASE("a mailbox delivers the entries of many threads once, in order for each thread") {
    constexpr unsigned kSenders = 8;
    constexpr unsigned kLetters = 5'000;
    Mailbox mailbox;
    std::vector<std::vector<Letter>> letters(kSenders, std::vector<Letter>(kLetters));
    std::vector<std::thread> senders;
    for (unsigned sender = 0; sender < kSenders; ++sender) {
        senders.emplace_back([&mailbox, &mine = letters[sender], sender] {
            for (unsigned number = 0; number < kLetters; ++number) {
                mine[number].sender = sender;
                mine[number].number = number;
                mailbox.push(mine[number]);
            }
        });
    }
    std::vector<unsigned> next(kSenders, 0);
    bool in_order = true;
    for (unsigned taken = 0; taken < kSenders * kLetters;) {
        for (MailboxEntry* entry = mailbox.take(); entry; entry = entry->next, ++taken) {
            const Letter& letter = static_cast<Letter&>(*entry);
            in_order &= letter.number == next[letter.sender]++;
        }
    }
    for (std::thread& sender : senders)
        sender.join();
    CHECK(in_order);
    CHECK(mailbox.empty());
}

}  // namespace
}  // namespace uaio
