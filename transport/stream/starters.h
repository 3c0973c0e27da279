// The starts of an operation that several providers share: it is refused, handed to an object made
// for it, or waits for its deadline.
#pragma once

#include <uaio/provider.h>

#include <memory>

namespace uaio {

// A starter that ends the operation with `kError`, an enumerator of an error enum.
template <auto kError>
void finish_with(Aio& aio) noexcept {
    Provider::finish(aio, kError);
}

// Ends the operation by its callback, for a verb without an object that could run it. Any thread.
template <auto kError>
void refuse(Engine& engine, Aio& aio) noexcept {
    Provider::submit(engine, aio, &finish_with<kError>, nullptr);
}
template <auto kError>
void refuse(Aio& aio) noexcept {
    refuse<kError>(aio.engine(), aio);
}

// Submits an operation of `owner`, which frees itself at the end: owns itself from the accepted
// submission on. Null, for want of memory, refuses the operation. Any thread.
template <class Owner>
void submit_owned(std::unique_ptr<Owner> owner, Aio& aio, Starter starter) noexcept {
    if (!owner) return refuse<Errc::not_enough_memory>(aio);
    const bool accepted = Provider::submit(aio.engine(), aio, starter, owner.get());
    if (accepted) static_cast<void>(owner.release());
}

// A canceler that ends the operation at once.
inline void finish_canceled(Aio& aio) noexcept {
    Provider::finish(aio, Provider::cancel_reason(aio));
}

// A starter for an Aio that serves as a timer: it ends with its deadline or a cancel.
inline void start_as_timer(Aio& aio) noexcept { Provider::park(aio, &finish_canceled); }

}  // namespace uaio
