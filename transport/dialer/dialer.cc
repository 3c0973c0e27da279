#include <uaio/dialer.h>
#include <uaio/provider.h>

#include "engine/core.h"
#include "transport/dialer/plan.h"
#include "transport/dialer/run.h"

#include <new>

namespace uaio {
namespace {

void finish_without_memory(Aio& aio) noexcept { Provider::finish(aio, Errc::not_enough_memory); }

void dial(const DialPlan& plan, Aio& aio, StreamPtr& out, DialReport* report) noexcept {
    DialRun* const run = new (std::nothrow) DialRun(plan, aio, out, report);
    if (!run) {
        Provider::submit(aio.engine(), aio, &finish_without_memory, nullptr);
    } else if (!Provider::submit(aio.engine(), aio, &DialRun::start, run)) {
        delete run;
    }
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
