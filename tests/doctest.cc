// The code of doctest, and the listener that reports each result to tests/run.py.
//
// Writes the results to the file named by UAIO_TEST_RESULTS, a line at a time by write(2), and not
// through a doctest reporter: a reporter's stream is lost when a case crashes, and the runner needs
// the name of that case.
#define DOCTEST_CONFIG_IMPLEMENT
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <doctest/doctest.h>

namespace {

class ResultsListener final : public doctest::IReporter {
public:
    explicit ResultsListener(const doctest::ContextOptions&) {
        if (const char* path = std::getenv("UAIO_TEST_RESULTS")) {
            file_ = ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        }
    }
    ~ResultsListener() override {
        if (file_ >= 0) ::close(file_);
    }
    ResultsListener(const ResultsListener&) = delete;
    ResultsListener& operator=(const ResultsListener&) = delete;

    void test_case_start(const doctest::TestCaseData& test) override {
        name_ = test.m_name;
        write_result("run");
    }
    void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
        char seconds[32];
        std::snprintf(seconds, sizeof seconds, "%.3f", stats.seconds);
        write_result(stats.testCaseSuccess ? "ok" : "not ok", seconds);
    }
    // Also called for cases that the filters exclude; reports only a case that its source disables.
    void test_case_skipped(const doctest::TestCaseData& test) override {
        if (!test.m_skip) return;
        name_ = test.m_name;
        write_result("skip", "disabled in its source");
    }

    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}

private:
    void write_result(const char* outcome, const char* detail = "") {
        if (file_ < 0) return;
        const std::string line = std::string(outcome) + "\t" + name_ + "\t" + detail + "\n";
        if (::write(file_, line.data(), line.size()) < 0) std::perror("UAIO_TEST_RESULTS");
    }

    int file_ = -1;
    std::string name_;
};

REGISTER_LISTENER("results", 1, ResultsListener);

}  // namespace
