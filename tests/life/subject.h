// The subjects of the destruction matrix: each is one object of the public interface, and an
// operation on it that lasts until it is ended. The rows are subjects, the columns are moments: see
// destruction_test.cc, and tls/tls_destruction_test.cc for the rows that need OpenSSL.
#pragma once

#include <uaio/aio.h>
#include <uaio/engine.h>

#include "tests/support/kernels.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>

namespace uaio::life {

class Subject {
public:
    virtual ~Subject() = default;

    // Begins the operation, which does not end by itself. Any thread.
    virtual void start(Aio& aio) = 0;
    // The object's own close(), after which the operation has ended with Errc::closed; false where
    // the class has none.
    virtual bool close() { return false; }
    // Destroys the object, and nothing else of the subject. Any thread.
    virtual void destroy() = 0;
    // How the operation ends when the object is destroyed under it.
    [[nodiscard]] virtual std::error_code end_of_destruction() const { return Errc::closed; }
    // How it ends when the object is destroyed before the engine's thread starts it.
    [[nodiscard]] virtual std::error_code end_of_late_start() const { return end_of_destruction(); }
    // How an operation ends that starts after the object's engine was destroyed, on another engine.
    [[nodiscard]] virtual std::error_code end_without_engine() const { return Errc::closed; }
    // True if the peer, if any, has received the end of its connection.
    virtual bool peer_sees_end() { return true; }
    // True if the peer, if any, has not received it.
    virtual bool peer_sees_no_end() { return true; }
};

struct Row {
    const char* name;
    // Makes the object on `engine`, which another thread runs, or no thread yet.
    std::unique_ptr<Subject> (*make)(Engine& engine);
};

// The columns. Each creates every row's object anew, on a kernel of this kind.
void destroy_idle(KernelKind kind, std::span<const Row> rows);
void destroy_busy(KernelKind kind, std::span<const Row> rows);
void destroy_in_own_callback(KernelKind kind, std::span<const Row> rows);
void destroy_on_another_thread(KernelKind kind, std::span<const Row> rows);
void destroy_before_start(KernelKind kind, std::span<const Row> rows);
void destroy_before_run(KernelKind kind, std::span<const Row> rows);
void close_while_resubmitting(KernelKind kind, std::span<const Row> rows);
void destroy_after_engine(KernelKind kind, std::span<const Row> rows);
void use_after_engine(KernelKind kind, std::span<const Row> rows);
void destroy_at_exit(KernelKind kind, std::span<const Row> rows);
void destroy_in_forked_child(KernelKind kind, std::span<const Row> rows);

}  // namespace uaio::life
