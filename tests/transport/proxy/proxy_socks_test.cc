// The dialogue with SOCKS proxies: the exact bytes, every reply, and replies cut at every place.
#include "tests/support/run_dialogue.h"
#include "transport/proxy/socks.h"

#include <doctest/doctest.h>

namespace uaio::proxy_socks_test {

using namespace std::string_literals;

const std::string kGreeting = "\5\1\0"s;
const std::string kGreetingWithPassword = "\5\2\0\2"s;
const std::string kNameRequest = "\5\1\0\3\13origin.test\0\x50"s;
const std::string kGranted = "\5\0\0\1\x7f\0\0\1\x04\x38"s;

DialogueResult socks(ProxyKind kind, const std::string& host,
                     const std::vector<DialogueStep>& script, const std::string& user = "",
                     const std::string& password = "", bool has_credentials = false) {
    Proxy proxy;
    proxy.kind = kind;
    proxy.user = user;
    proxy.password = password;
    proxy.has_credentials = has_credentials || !user.empty();
    return run_dialogue([&] { return std::make_unique<proxy::SocksDialogue>(proxy, host, 80); },
                        script);
}

DialogueResult socks5(const std::string& host, const std::vector<DialogueStep>& script) {
    return socks(ProxyKind::socks5h, host, script);
}

TEST_CASE("SOCKS5 names the target by name, IPv4 or IPv6 (58)") {
    const DialogueResult done{{}, "early"};
    CHECK(socks5("origin.test", {{kGreeting, "\5\0"s}, {kNameRequest, kGranted + "early"}}) ==
          done);
    CHECK(socks5("127.0.0.1", {{kGreeting, "\5\0"s},
                               {"\5\1\0\1\x7f\0\0\1\0\x50"s, kGranted + "early"}}) == done);
    CHECK(socks5("::1", {{kGreeting, "\5\0"s},
                         {"\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\x50"s,
                          kGranted + "early"}}) == done);
    const std::string longest(255, 'a');
    CHECK(socks5(longest, {{kGreeting, "\5\0"s},
                           {"\5\1\0\3\xff"s + longest + "\0\x50"s, kGranted + "early"}}) == done);
    CHECK(socks5(std::string(256, 'a'), {}).error == ProxyErrc::name_too_long);
}

TEST_CASE("the bound address in a SOCKS5 reply is read to its end, whatever its type") {
    const DialogueResult done{{}, "early"};
    for (const std::string& bound : {"\1\1\2\3\4"s, "\4"s + std::string(16, 'x'), "\3\0"s,
                                     "\3\4name"s, "\3\xff"s + std::string(255, 'n')}) {
        CHECK(socks5("origin.test", {{kGreeting, "\5\0"s},
                                     {kNameRequest, "\5\0\0"s + bound + "\1\2early"}}) == done);
    }
    CHECK(socks5("origin.test", {{kGreeting, "\5\0"s}, {kNameRequest, "\5\0\0\2\1\1\1\1\1\1"s}})
              .error == ProxyErrc::bad_reply);
}

TEST_CASE("SOCKS5 sends user and password if the proxy asks for them (59)") {
    const std::string asked = "\1\4user\4pass";
    const auto with_password = [&](const std::string& method, const std::string& answer) {
        return socks(ProxyKind::socks5h, "origin.test",
                     {{kGreetingWithPassword, method}, {asked, answer}, {kNameRequest, kGranted}},
                     "user", "pass");
    };
    CHECK(with_password("\5\2"s, "\1\0"s) == DialogueResult{});
    CHECK(with_password("\5\2"s, "\5\0"s) == DialogueResult{});  // the version is ignored
    CHECK(with_password("\5\2"s, "\1\1"s).error == ProxyErrc::credentials_refused);
    CHECK(with_password("\5\xff"s, "").error == ProxyErrc::authentication_required);
    CHECK(with_password("\5\1"s, "").error == ProxyErrc::bad_reply);
    // The proxy may skip the request for a password, or send it unasked.
    CHECK(socks(ProxyKind::socks5h, "origin.test",
                {{kGreetingWithPassword, "\5\0"s}, {kNameRequest, kGranted}}, "user",
                "pass") == DialogueResult{});
    CHECK(socks5("origin.test",
                 {{kGreeting, "\5\2"s}, {"\1\0\0"s, "\1\0"s}, {kNameRequest, kGranted}}) ==
          DialogueResult{});
    CHECK(
        socks(
            ProxyKind::socks5h, "origin.test",
            {{kGreetingWithPassword, "\5\2"s}, {"\1\0\4pass"s, "\1\0"s}, {kNameRequest, kGranted}},
            "", "pass", true) == DialogueResult{});
}

TEST_CASE("user and password for a SOCKS proxy have at most 255 bytes (59)") {
    const std::string longest(255, 'u');
    CHECK(socks(ProxyKind::socks5h, "origin.test",
                {{kGreetingWithPassword, "\5\2"s},
                 {"\1\xff"s + longest + "\xff" + longest, "\1\0"s},
                 {kNameRequest, kGranted}},
                longest, longest) == DialogueResult{});
    for (const ProxyKind kind : {ProxyKind::socks4, ProxyKind::socks5}) {
        CHECK(socks(kind, "127.0.0.1", {}, longest + "u").error == ProxyErrc::bad_credentials);
        CHECK(socks(kind, "127.0.0.1", {}, "u", longest + "u").error == ProxyErrc::bad_credentials);
    }
}

TEST_CASE("every SOCKS5 reply code has an error of its own (60)") {
    const std::vector<std::pair<int, ProxyErrc>> codes = {
        {1, ProxyErrc::general_failure},       {2, ProxyErrc::not_allowed},
        {3, ProxyErrc::network_unreachable},   {4, ProxyErrc::host_unreachable},
        {5, ProxyErrc::connection_refused},    {6, ProxyErrc::ttl_expired},
        {7, ProxyErrc::command_not_supported}, {8, ProxyErrc::address_not_supported},
        {9, ProxyErrc::unknown_reply},         {200, ProxyErrc::unknown_reply},
    };
    for (const auto& [code, error] : codes) {
        const std::string reply = "\5"s + static_cast<char>(code) + "\0\1\0\0\0\0\0\0"s;
        CHECK(socks5("origin.test", {{kGreeting, "\5\0"s}, {kNameRequest, reply}}).error == error);
        proxy::SocksDialogue dialogue({.kind = ProxyKind::socks5}, "origin.test", 80);
        std::string output;
        REQUIRE(!dialogue.begin(output));
        CHECK(dialogue.consume("\5\0"s, output).state == proxy::Progress::State::advanced);
        CHECK(dialogue.consume(reply, output).state == proxy::Progress::State::failed);
        CHECK(dialogue.reply() == code);
    }
}

TEST_CASE("a peer that is not a SOCKS proxy is detected at its first byte") {
    CHECK(socks5("origin.test", {{kGreeting, "HTTP/1.1 400 Bad Request\r\n"}}).error ==
          ProxyErrc::bad_reply);
    CHECK(socks5("origin.test", {{kGreeting, "\5\0"s}, {kNameRequest, "\4"}}).error ==
          ProxyErrc::bad_reply);
    CHECK(socks(ProxyKind::socks4a, "origin.test", {{"\4\1\0\x50\0\0\0\1\0origin.test\0"s, "\5"}})
              .error == ProxyErrc::bad_reply);
}

TEST_CASE("SOCKS4 sends an IPv4 address and 4a a name (62)") {
    const std::string granted = "\0\x5a\1\2\3\4\5\6"s;
    const DialogueResult done{{}, "early"};
    const std::string numbers = "\4\1\0\x50\x7f\0\0\1user\0"s;
    CHECK(socks(ProxyKind::socks4, "127.0.0.1", {{numbers, granted + "early"}}, "user") == done);
    CHECK(socks(ProxyKind::socks4a, "127.0.0.1", {{numbers, granted + "early"}}, "user") == done);
    CHECK(socks(ProxyKind::socks4a, "origin.test",
                {{"\4\1\0\x50\0\0\0\1\0origin.test\0"s, granted + "early"}}) == done);
    CHECK(socks(ProxyKind::socks4, "::1", {}).error == ProxyErrc::no_version_4_address);
    CHECK(socks(ProxyKind::socks4, "origin.test", {}).error == ProxyErrc::no_version_4_address);
    CHECK(socks(ProxyKind::socks4a, std::string(256, 'a'), {}).error == ProxyErrc::name_too_long);
    CHECK(socks(ProxyKind::socks4, "127.0.0.1", {}, "a\0b"s).error == ProxyErrc::bad_credentials);
}

TEST_CASE("every SOCKS4 reply code has an error of its own (62)") {
    const std::vector<std::pair<int, ProxyErrc>> codes = {
        {91, ProxyErrc::request_rejected},
        {92, ProxyErrc::no_identd},
        {93, ProxyErrc::other_identd_user},
        {77, ProxyErrc::unknown_reply},
    };
    for (const auto& [code, error] : codes) {
        const std::string reply = "\0"s + static_cast<char>(code) + "\0\0\0\0\0\0"s;
        CHECK(socks(ProxyKind::socks4, "127.0.0.1", {{"\4\1\0\x50\x7f\0\0\1\0"s, reply}}).error ==
              error);
    }
}

}  // namespace uaio::proxy_socks_test
