// Runs the rows on both libraries, and prints a line for each in the format of tests/run.py.
#include "tests/differential_curl/row.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

namespace uaio {
namespace {

std::string text_of(const Answers& answers) {
    std::string text;
    for (const std::string& each : answers)
        text += "[" + each + "] ";
    return text;
}

bool check(const Row& row, const char* who, Driver& driver, const Answers& expected) {
    Scene scene(driver);
    try {
        row.play(scene);
    } catch (const std::exception& failure) {
        scene.note(failure.what());
    } catch (...) {  // an assertion in a peer's script
        scene.note("a peer's check failed");
    }
    if (scene.answers == expected) return true;
    std::printf("# %s, %s: %s\n#   expected %s\n", row.name, who, text_of(scene.answers).c_str(),
                text_of(expected).c_str());
    return false;
}

bool compare(const Row& row) {
    bool good = check(row, "libcurl", *make_curl_driver(), row.curl);
    good = check(row, "uaio", *make_uaio_driver(), row.uaio) && good;
    good = (row.curl == row.uaio) == (std::strlen(row.reason) == 0) && good;
    std::printf("%s libcurl row %s%s%s\n", good ? "ok" : "not ok", row.name,
                *row.reason ? ": differs, " : "", row.reason);
    std::fflush(stdout);
    return good;
}

// The rows whose names begin with `names`.
bool compare_all(const std::string& names) {
    std::vector<Rows> all = {
        beginning_rows(),     connecting_rows(),     end_rows(),   transfer_rows(),
        url_rows(),           handle_rows(),         pool_rows(),  tunnel_rows(),
        credential_rows(),    tunnel_failure_rows(), socks_rows(), socks_tunnel_rows(),
        socks_failure_rows(), name_rows(),           race_rows(),  environment_rows()};
    for (Rows& rows : tls_rows())
        all.push_back(std::move(rows));
    bool good = true;
    for (const Rows& rows : all) {
        for (const Row& row : rows) {
            if (std::string(row.name).starts_with(names)) good = compare(row) && good;
        }
    }
    return good;
}

}  // namespace
}  // namespace uaio

int main(int argc, char** argv) {
    // Each row sets the environment that it needs.
    for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                             "no_proxy", "NO_PROXY"}) {
        ::unsetenv(name);
    }
    doctest::Context context;  // for assertions in the peers' scripts
    context.setAsDefaultForAssertsOutOfTestCases();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const bool good = uaio::compare_all(argc > 1 ? argv[1] : "");
    curl_global_cleanup();
    return good ? 0 : 1;
}
