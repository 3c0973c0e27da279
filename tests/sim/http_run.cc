#include "tests/sim/http_run.h"

#include <uaio/aio.h>
#include <uaio/http_error.h>

#include <algorithm>
#include <array>
#include <utility>

namespace uaio {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 80;

// Content whose bytes identify their offset.
std::string content_of(std::size_t size, std::uint64_t salt) {
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        content[i] = static_cast<char>('a' + (i * 7 + i / 26 + salt) % 26);
    }
    return content;
}

}  // namespace

struct HttpRun::Transaction {
    explicit Transaction(HttpRun& of)
        : run(of), aio(*of.engine_, [this](Aio&) {
              ++callbacks;
              if (again > 0) {
                  --again;
                  run.begin(*this);
              }
          }) {}

    HttpRun& run;
    http::Request request;
    http::Response response;
    std::string sent;    // content of the request
    std::string wanted;  // content of the response
    int status = 200;
    unsigned begun = 0;
    unsigned callbacks = 0;
    unsigned again = 0;  // resubmissions by its callback
    bool asked_to_end = false;
    Aio aio;
};

// Echoes the content of the request while it arrives.
class HttpRun::Streamer {
public:
    Streamer(HttpRun& run, http::Exchange& exchange)
        : run_(run),
          exchange_(exchange),
          reads_(exchange.engine(), [this](Aio&) { on_read(); }),
          writes_(exchange.engine(), [this](Aio&) { on_written(); }) {
        ++run_.streamers_;
        buffer_.resize(1 + run_.draw(3000));
        exchange_.begin(writes_);
    }

private:
    void on_written() {
        if (writes_.result() || finishing_) {
            writes_.result() ? exchange_.abort() : exchange_.end();
            --run_.streamers_;
            delete this;
            return;
        }
        reads_.set_iov(buffer_.data(), buffer_.size());
        run_.chance(300) ? exchange_.reader().read_all(reads_) : exchange_.reader().read(reads_);
    }
    void on_read() {
        const std::error_code error = reads_.result();
        if (error && error != Errc::end_of_stream) {
            exchange_.abort();
            --run_.streamers_;
            delete this;
            return;
        }
        finishing_ = static_cast<bool>(error);
        if (finishing_ && reads_.count() == 0) return exchange_.writer().finish(writes_);
        finishing_ = false;
        writes_.set_iov(buffer_.data(), reads_.count());
        exchange_.writer().write(writes_);
    }

    HttpRun& run_;
    http::Exchange& exchange_;
    std::string buffer_;
    bool finishing_ = false;
    Aio reads_;
    Aio writes_;
};

Faults HttpRun::faults_for(Choices& choices) {
    Faults faults;
    faults.short_write = static_cast<unsigned>(choices.draw(900));
    faults.short_read = static_cast<unsigned>(choices.draw(900));
    faults.reorder = static_cast<unsigned>(choices.draw(900));
    faults.late_cancel = static_cast<unsigned>(choices.draw(900));
    faults.interrupted_operation = static_cast<unsigned>(choices.draw(100));
    faults.interrupted_enter = static_cast<unsigned>(choices.draw(100));
    faults.busy = static_cast<unsigned>(choices.draw(100));
    faults.partial_submission = static_cast<unsigned>(choices.draw(300));
    faults.delay_max = std::chrono::microseconds(choices.draw(5000));
    faults.latency_max = std::chrono::microseconds(choices.draw(500));
    faults.enter_time = std::chrono::nanoseconds(1000);
    faults.window = 1 + choices.draw(64 * 1024);
    faults.no_waitall = choices.chance(300);
    if (choices.chance(600)) {
        faults.reset = static_cast<unsigned>(choices.draw(20));
        faults.connect_failed = static_cast<unsigned>(choices.draw(100));
        faults.accept_aborted = static_cast<unsigned>(choices.draw(100));
        faults.accept_exhausted = static_cast<unsigned>(choices.draw(100));
    }
    faults.lost_cancel = static_cast<unsigned>(choices.draw(500));
    faults.no_buffer = static_cast<unsigned>(choices.draw(300));
    return faults;
}

HttpRun::HttpRun(std::uint64_t seed) : choices_(seed), kernel_(seed, faults_for(choices_)) {
    EngineOptions options;
    options.log = [](LogLevel, std::string_view) {};
    engine_.emplace(kernel_, options);
    serve();
    connector_.emplace(Endpoint::loopback(kPort));
    client_.emplace(*connector_, http::ClientOptions{.connections = 1 + draw(6),
                                                     .redirects = static_cast<unsigned>(draw(3))});
}

HttpRun::~HttpRun() {
    client_.reset();
    server_.reset();
    answer_later();
    transactions_.clear();
    engine_.reset();
}

void HttpRun::serve() {
    http::ServerOptions options;
    options.pipelined = draw(4);
    options.requests_per_connection = chance(300) ? 1 + draw(4) : 0;
    closes_idle_ = chance(200);
    if (closes_idle_) options.idle_timeout = std::chrono::microseconds(1 + draw(20000));
    server_.emplace(*engine_, options);
    server_->handle("POST", "/echo", [this](http::Exchange& exchange) {
        static_cast<void>(exchange.response().copy_content(exchange.request().content()));
        exchange.respond();
    });
    server_
        ->handle("POST", "/stream",
                 [this](http::Exchange& exchange) { new Streamer(*this, exchange); })
        .stream_content();
    server_
        ->handle("GET", "/size",
                 [](http::Exchange& exchange) {
                     const std::size_t size =
                         std::stoul(std::string(exchange.path_suffix().substr(1)));
                     exchange.respond(content_of(size, size));
                 })
        .prefix();
    server_->handle("POST", "/late",
                    [this](http::Exchange& exchange) { waiting_.push_back(&exchange); });
    server_
        ->handle("POST", "/ignore", [](http::Exchange& exchange) { exchange.respond("ignored"); })
        .stream_content();
    server_->listen(tcp::acceptor(Endpoint::loopback(kPort)));
}

void HttpRun::answer_later() {
    for (http::Exchange* exchange : std::exchange(waiting_, {})) {
        static_cast<void>(exchange->response().copy_content(exchange->request().content()));
        exchange->respond();
    }
}

void HttpRun::plan() {
    const std::size_t count = 1 + draw(20);
    for (std::size_t i = 0; i < count; ++i) {
        transactions_.push_back(std::make_unique<Transaction>(*this));
        Transaction& one = *transactions_.back();
        const std::size_t size = chance(300) ? draw(200000) : draw(2000);
        static_cast<void>(one.request.headers().set("Host", "h"));
        const auto post = [&](const char* target) {
            one.sent = content_of(size, i);
            static_cast<void>(one.request.set_method("POST"));
            static_cast<void>(one.request.set_target(target));
            static_cast<void>(one.request.set_content(one.sent));
            one.wanted = one.sent;
        };
        switch (draw(6)) {
            case 0: post("/echo"); break;
            case 1: post("/stream"); break;
            case 2: post("/late"); break;
            case 3:
                post("/ignore");
                one.wanted = "ignored";
                break;
            case 4:
                static_cast<void>(one.request.set_target("/size/" + std::to_string(size)));
                one.wanted = content_of(size, size);
                if (chance(300)) {
                    static_cast<void>(one.request.set_method("HEAD"));
                    one.wanted.clear();
                }
                break;
            default: static_cast<void>(one.request.set_target("/none")); one.status = 404;
        }
        one.again = static_cast<unsigned>(draw(3));
        if (chance(150)) {
            one.aio.set_timeout(std::chrono::microseconds(draw(50000)));
            one.asked_to_end = true;
        }
    }
}

void HttpRun::begin(Transaction& transaction) {
    ++transaction.begun;
    client_->transact(transaction.request, transaction.response, transaction.aio);
}

std::string HttpRun::run() {
    plan();
    for (const auto& one : transactions_)
        begin(*one);
    const bool goes = chance(150);
    const bool drains = !goes && chance(150);
    const std::uint64_t when = draw(300);
    Aio drained(*engine_);
    bool cut_short = false;
    for (std::uint64_t turn = 0; turn < 200000; ++turn) {
        const bool over =
            std::ranges::all_of(transactions_, [](const auto& one) { return !one->aio.busy(); });
        if (over) break;
        engine_->run_once(1ms);
        if (chance(100)) answer_later();
        if (chance(10)) {
            Transaction& one = *transactions_[draw(transactions_.size())];
            one.asked_to_end = true;
            one.again = 0;
            one.aio.cancel();
        }
        if (turn == when && goes) {
            cut_short = true;
            server_.reset();
        }
        if (turn == when && drains) {
            cut_short = true;
            server_->drain(drained);
        }
    }
    const SimCounters& counters = kernel_.counters();
    reliable_ = !cut_short && counters.resets == 0 && counters.connects_failed == 0 &&
                counters.accepts_aborted == 0 && counters.accepts_exhausted == 0;
    std::string wrong = judge();
    client_.reset();
    server_.reset();
    for (int turn = 0; turn < 100000; ++turn) {
        answer_later();
        const EngineStatistics statistics = engine_->statistics();
        if (streamers_ == 0 && statistics.in_flight == 0) break;
        engine_->run_once(1ms);
    }
    if (wrong.empty() && streamers_ != 0) wrong = "a streamed exchange did not end";
    if (wrong.empty() && engine_->statistics().in_flight != 0) wrong = "operations did not end";
    if (wrong.empty() && engine_->statistics().misuse != 0) wrong = "a busy Aio was submitted";
    return wrong;
}

std::string HttpRun::judge() {
    for (std::size_t i = 0; i < transactions_.size(); ++i) {
        const std::string wrong = judge_one(*transactions_[i]);
        if (!wrong.empty()) {
            return "transaction " + std::to_string(i) + " (" +
                   std::string(transactions_[i]->request.target()) + "): " + wrong;
        }
    }
    return {};
}

std::string HttpRun::judge_one(const Transaction& one) {
    if (one.aio.busy()) return "did not end";
    if (one.callbacks != one.begun) return "begun and called back a different number of times";
    const std::error_code error = one.aio.result();
    if (!error) {
        ++successes_;
        // A response other than the handler's own reports that the server failed.
        if (one.response.status() != one.status) {
            if (one.response.status() == 408 || one.response.status() == 503) return {};
            return "status " + std::to_string(one.response.status());
        }
        if (one.status == 200 && one.response.content() != one.wanted) return "other content";
        if (one.aio.count() != one.response.content().size()) return "another count";
        return {};
    }
    if (error == std::errc::invalid_argument || error == Errc::not_enough_memory) {
        return "ended with " + error.message();
    }
    const bool malformed = error.category() == http_category() && error != HttpErrc::no_response;
    if (malformed) return "malformed: " + error.message();
    // A server may close an idle connection at the moment of a request, see ClientOptions.
    if (reliable_ && !closes_idle_ && !one.asked_to_end) return "failed: " + error.message();
    return {};
}

}  // namespace uaio
