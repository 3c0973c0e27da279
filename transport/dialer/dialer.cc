#include <uaio/dialer.h>

#include "transport/dialer/plan.h"
#include "transport/dialer/run.h"
#include "transport/stream/starters.h"

#include <new>
#include <utility>

namespace uaio {
namespace {

void dial(const DialPlan& plan, Aio& aio, StreamPtr& out, DialReport* report) noexcept {
    std::unique_ptr<DialRun> run(new (std::nothrow) DialRun(plan, aio, out, report));
    submit_owned(std::move(run), aio, &DialRun::start);
}

}  // namespace

Dialer::Dialer(std::string_view target, const DialOptions& options)
    : plan_(std::make_unique<DialPlan>(target, options)) {}

Dialer::~Dialer() = default;

void Dialer::connect(Aio& aio, StreamPtr& out) { dial(*plan_, aio, out, nullptr); }

void Dialer::connect(Aio& aio, StreamPtr& out, DialReport& report) {
    dial(*plan_, aio, out, &report);
}

Origin Dialer::origin() const noexcept {
    return {plan_->secure, plan_->target.host, plan_->target.port};
}

}  // namespace uaio
