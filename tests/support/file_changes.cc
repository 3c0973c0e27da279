#include "tests/support/file_changes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace uaio {
namespace {

using namespace std::chrono_literals;

enum class Change { halve, empty, shorten, replace, grow, remove, forbid };
enum class Moment { before_opening, after_head, in_content };

constexpr Change kChanges[] = {Change::halve, Change::empty,  Change::shorten, Change::replace,
                               Change::grow,  Change::remove, Change::forbid};
constexpr Moment kMoments[] = {Moment::before_opening, Moment::after_head, Moment::in_content};
constexpr std::size_t kSizes[] = {10, 64 * 1024, 64 * 1024 + 1, ChangingFile::kLarge};

// The offset at which a ranged request begins.
constexpr std::size_t kRangeBegin = 5;

bool makes_shorter(Change change) {
    return change == Change::halve || change == Change::empty || change == Change::shorten;
}

// The content of the file after the change.
std::string changed(const std::string& content, Change change) {
    switch (change) {
        case Change::halve: return content.substr(0, content.size() / 2);
        case Change::empty: return "";
        case Change::shorten: return content.substr(0, content.size() - 1);
        case Change::replace: return pattern(content.size(), 2);
        case Change::grow: return content + "and more";
        default: return content;
    }
}

void apply(const ChangingFile& folder, Change change) {
    const std::string path = folder.at("changing");
    const std::string after = changed(folder.content, change);
    switch (change) {
        case Change::replace:
            folder.write("new", after);
            REQUIRE(std::rename(folder.at("new").c_str(), path.c_str()) == 0);
            return;
        case Change::grow: std::ofstream(path, std::ios::app) << "and more"; return;
        case Change::remove: REQUIRE(::unlink(path.c_str()) == 0); return;
        case Change::forbid: REQUIRE(::chmod(path.c_str(), 0) == 0); return;
        default: REQUIRE(::truncate(path.c_str(), static_cast<off_t>(after.size())) == 0);
    }
}

struct Case {
    Change change;
    Moment moment;
    std::size_t size;
    bool ranged;

    std::string text() const {
        return "change " + std::to_string(static_cast<int>(change)) + ", step " +
               std::to_string(static_cast<int>(moment)) + ", size " + std::to_string(size) +
               (ranged ? ", a range" : "");
    }
};

// Checks that the response is that of the changed file, or of a file that cannot be opened.
void check_new(const FileClient& client, const ChangingFile& folder, const Case& of) {
    const bool forbidden = of.change == Change::forbid && ::geteuid() != 0;
    if (of.change == Change::remove || forbidden) {
        CHECK(client.status() == (forbidden ? 403 : 404));
        return;
    }
    const std::string after = changed(folder.content, of.change);
    const std::size_t begin = of.ranged ? kRangeBegin : 0;
    CHECK(client.status() == (!of.ranged ? 200 : begin < after.size() ? 206 : 416));
    CHECK(client.whole());
    if (client.status() != 416) CHECK(client.content() == after.substr(begin));
}

// Checks that the response, which had begun, is that of the original file, or ends early.
void check_old(const FileClient& client, const ChangingFile& folder, const Case& of) {
    const std::string before = folder.content.substr(of.ranged ? kRangeBegin : 0);
    CHECK(client.status() == (of.ranged ? 206 : 200));
    CHECK(client.length() == before.size());
    const std::string content = client.content();
    if (!makes_shorter(of.change)) {
        CHECK(content == before);
        return;
    }
    CHECK(content.size() <= before.size());
    CHECK(before.starts_with(content));
    if (of.size < ChangingFile::kLarge) return;  // the server may have read all of it
    CHECK(content.size() < before.size());
    if (of.change == Change::shorten) CHECK(content.size() == before.size() - 1);
}

void check(KernelKind kind, const SceneLayer& layer, const Case& of) {
    const std::string text = of.text();
    INFO(text);
    const ChangingFile folder(of.size);
    FileScene scene(kind, layer);
    scene.serve(http::directory(folder.path(), {.keep = 0s}));
    FileClient other(scene);
    CHECK(other.get("/other") == 200);
    FileClient client(scene);
    if (of.moment == Moment::before_opening) apply(folder, of.change);
    const std::string range = "Range: bytes=" + std::to_string(kRangeBegin) + "-\r\n";
    client.ask("/changing", of.ranged ? range : "");
    client.receive_head();
    if (of.moment == Moment::in_content) client.receive(client.head().size() + of.size / 4);
    if (of.moment != Moment::before_opening) apply(folder, of.change);
    client.receive_rest();
    REQUIRE(scene.run_until([&] { return scene.statuses.size() == 2; }));
    of.moment == Moment::before_opening ? check_new(client, folder, of)
                                        : check_old(client, folder, of);
    CHECK(static_cast<bool>(client.end()) == !client.whole());
    CHECK(scene.errors.back() == (client.whole() ? std::error_code() : Errc::truncated));
    CHECK(scene.messages.size() == (client.whole() ? 0 : 1));
    // The other connections work; so does its own if the response was whole.
    if (client.whole()) CHECK(client.get("/other") == 200);
    CHECK(other.get("/other") == 200);
    CHECK(other.content() == "other");
}

}  // namespace

void check_file_changes(KernelKind kind, const SceneLayer& layer) {
    for (const Change change : kChanges) {
        for (const Moment moment : kMoments) {
            for (const std::size_t size : kSizes) {
                check(kind, layer, {change, moment, size, false});
                if (size > 64 * 1024) check(kind, layer, {change, moment, size, true});
            }
        }
    }
}

}  // namespace uaio
