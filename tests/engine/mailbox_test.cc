#include "engine/mailbox.h"

#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::mailbox_test {

struct TestEntry : MailboxEntry {
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
    TestEntry entries[3];
    CHECK(mailbox.push(entries[0]));
    CHECK(!mailbox.push(entries[1]));
    CHECK(!mailbox.push(entries[2]));
    CHECK(!mailbox.empty());
    MailboxEntry* entry = mailbox.take();
    for (TestEntry& posted : entries) {
        CHECK(entry == &posted);
        entry = entry->next;
    }
    CHECK(entry == nullptr);
    CHECK(mailbox.empty());
    CHECK(mailbox.push(entries[0]));
}

TEST_CASE("a mailbox delivers the entries of many threads once, in order for each thread") {
    constexpr unsigned kSenders = 8;
    constexpr unsigned kEntries = 5'000;
    Mailbox mailbox;
    std::vector<std::vector<TestEntry>> entries(kSenders, std::vector<TestEntry>(kEntries));
    std::vector<std::thread> senders;
    for (unsigned sender = 0; sender < kSenders; ++sender) {
        senders.emplace_back([&mailbox, &mine = entries[sender], sender] {
            for (unsigned number = 0; number < kEntries; ++number) {
                mine[number].sender = sender;
                mine[number].number = number;
                mailbox.push(mine[number]);
            }
        });
    }
    std::vector<unsigned> next(kSenders, 0);
    bool in_order = true;
    for (unsigned taken = 0; taken < kSenders * kEntries;) {
        for (MailboxEntry* entry = mailbox.take(); entry; entry = entry->next, ++taken) {
            const TestEntry& posted = static_cast<TestEntry&>(*entry);
            in_order &= posted.number == next[posted.sender]++;
        }
    }
    for (std::thread& sender : senders)
        sender.join();
    CHECK(in_order);
    CHECK(mailbox.empty());
}

}  // namespace uaio::mailbox_test
