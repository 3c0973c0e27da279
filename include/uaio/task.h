// A Task is a coroutine that starts when it is awaited or spawned. spawn() gives it an engine; from
// then on it runs on that engine's thread alone, and so does every task it awaits. All of them
// share one Aio, which each operation they await reuses (<uaio/await.h>), so that awaiting one
// allocates nothing. Any thread may spawn a task, and request its end through a std::stop_token.
//
// A coroutine copies its arguments, but not the objects they refer to: give a spawned task values.
// A lambda that is a coroutine must not capture anything, since its captures are destroyed with it.
#pragma once

#include <uaio/engine.h>
#include <uaio/provider.h>

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace uaio {

template <class T = void>
class Task;

// The state that the coroutines of one spawned task share. Engine's thread.
class TaskContext {
public:
    TaskContext(const TaskContext&) = delete;
    TaskContext& operator=(const TaskContext&) = delete;

    Engine& engine() const noexcept { return aio_.engine(); }
    // For the operation that the task waits for; idle while one of its coroutines runs.
    Aio& aio() noexcept { return aio_; }
    // The next callback of aio() resumes `waiting`.
    void set_waiting(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    // The outermost coroutine has ended.
    void end() noexcept {
        waiting_ = nullptr;
        schedule();
    }

protected:
    explicit TaskContext(Engine& engine)
        : aio_(engine, [this](Aio&) { waiting_ ? waiting_.resume() : finish(); }) {}
    virtual ~TaskContext() = default;

    // Makes the loop run the callback of aio(), never inside this call. False where no thread will
    // run the engine any more. Any thread.
    bool schedule() noexcept {
        const Starter finish_at_once = [](Aio& aio) noexcept { Provider::finish(aio); };
        return Provider::submit(aio_.engine(), aio_, finish_at_once, nullptr);
    }

private:
    // Passes the result on and frees this.
    virtual void finish() noexcept = 0;

    std::coroutine_handle<> waiting_;
    Aio aio_;
};

// The result of a task: a value or an exception.
template <class T>
class TaskResult {
public:
    // Moves the value out, or throws the exception of the task. At most once.
    T get() {
        if (error_) std::rethrow_exception(error_);
        if constexpr (!std::is_void_v<T>) return std::move(*value_);
    }
    // The exception of the task; null if it returned.
    const std::exception_ptr& exception() const noexcept { return error_; }

private:
    template <class>
    friend class TaskReturn;
    template <class>
    friend class TaskPromise;

    std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value_;
    std::exception_ptr error_;
};

// The part of a promise that depends on whether there is a value.
template <class T>
class TaskReturn {
public:
    template <class U = T>
    requires std::convertible_to<U, T>
    void return_value(U&& value) { result_.value_.emplace(std::forward<U>(value)); }

protected:
    TaskResult<T> result_;
};

template <>
class TaskReturn<void> {
public:
    void return_void() noexcept {}

protected:
    TaskResult<void> result_;
};

template <class T>
class TaskPromise final : public TaskReturn<T> {
public:
    // Resumes the coroutine that awaits the task.
    struct Final {
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(
            std::coroutine_handle<TaskPromise> ended) const noexcept {
            return ended.promise().end();
        }
        void await_resume() const noexcept {}
    };

    Task<T> get_return_object() noexcept;
    std::suspend_always initial_suspend() const noexcept { return {}; }
    Final final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { this->result_.error_ = std::current_exception(); }

    void attach(TaskContext& context) noexcept { context_ = &context; }

    // Runs the task until it waits or ends; when a task that waited ends, `awaiting` resumes. False
    // if it has ended already. A task that never waits thus returns to its caller like a function:
    // symmetric transfer would grow the stack with every task of a loop where the compiler makes no
    // tail calls, without optimization and under sanitizers.
    bool run(std::coroutine_handle<> awaiting) {
        awaiting_ = awaiting;
        std::coroutine_handle<TaskPromise>::from_promise(*this).resume();
        if (stage_ == Stage::ended) return false;
        stage_ = Stage::waiting;
        return true;
    }

    TaskContext& context() const noexcept { return *context_; }
    TaskResult<T> take_result() { return std::move(this->result_); }

private:
    enum class Stage : unsigned char { running, waiting, ended };

    std::coroutine_handle<> end() noexcept {
        const bool waited = std::exchange(stage_, Stage::ended) == Stage::waiting;
        if (awaiting_) return waited ? awaiting_ : std::noop_coroutine();
        context_->end();  // it was spawned
        return std::noop_coroutine();
    }

    TaskContext* context_ = nullptr;
    std::coroutine_handle<> awaiting_;
    Stage stage_ = Stage::running;  // running: and run() has not returned
};

// A coroutine that co_returns a T and has not started. `co_await std::move(task)` runs it to its
// end and returns its value or throws its exception; a task may be destroyed without a start. Each
// allocates its frame. Awaitables other than Tasks and the operations of <uaio/await.h> must resume
// the task on its engine's thread (Engine::post()).
template <class T>
class [[nodiscard]] Task {
public:
    static_assert(!std::is_reference_v<T>,
                  "a Task returns a value: return a pointer instead of a reference");
    using promise_type = TaskPromise<T>;

    Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        std::swap(coroutine_, other.coroutine_);
        return *this;
    }
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }

    class Awaiter {
    public:
        explicit Awaiter(std::coroutine_handle<promise_type> coroutine) noexcept
            : coroutine_(coroutine) {}
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> awaiting) {
            coroutine_.promise().attach(awaiting.promise().context());
            return coroutine_.promise().run(awaiting);
        }
        T await_resume() { return coroutine_.promise().take_result().get(); }

    private:
        std::coroutine_handle<promise_type> coroutine_;
    };

    // REQUIRES: not awaited or spawned before.
    Awaiter operator co_await() && noexcept { return Awaiter(coroutine_); }

private:
    friend promise_type;
    template <class, class>
    friend class SpawnedTask;

    explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

    std::coroutine_handle<promise_type> coroutine_;
};

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

// ---- Starting tasks ----

// A task that spawn() started; frees itself when it has ended.
template <class T, class Done>
class SpawnedTask final : public TaskContext {
public:
    SpawnedTask(Engine& engine, Task<T> task, Done done, std::stop_token stop)
        : TaskContext(engine),
          task_(std::move(task)),
          done_(std::move(done)),
          on_stop_(std::move(stop), Stop{this->aio()}) {}

    void start() noexcept {
        task_.coroutine_.promise().attach(*this);
        set_waiting(task_.coroutine_);
        if (!schedule()) delete this;  // the coroutine has not begun
    }

private:
    struct Stop {
        Aio& aio;
        void operator()() const noexcept { aio.stop(); }
    };

    // A request to stop may be under way on another thread: on_stop_'s destructor waits for it, and
    // runs before that of the Aio.
    void finish() noexcept override {
        TaskResult<T> result = task_.coroutine_.promise().take_result();
        Done done = std::move(done_);
        delete this;
        done(std::move(result));
    }

    Task<T> task_;
    Done done_;
    std::stop_callback<Stop> on_stop_;
};

// Starts `task` on `engine`, from its loop, never inside this call, in the order of a verb. When it
// has ended and its coroutines are destroyed, the engine's thread calls `done`, a
// void(TaskResult<T>) that must not throw. A stop request of `stop`, from any thread, ends the
// operation that the task waits for with Errc::canceled, as Aio::stop() does, and each later one at
// once; the task continues with that error. Where no thread will run the engine any more (logged),
// task and `done` are destroyed without running. Allocates; throws std::bad_alloc. Any thread.
template <class T, std::invocable<TaskResult<T>> Done>
void spawn(Engine& engine, Task<T> task, Done done, std::stop_token stop = {}) {
    auto* const spawned =
        new SpawnedTask<T, Done>(engine, std::move(task), std::move(done), std::move(stop));
    spawned->start();
}

// The same without `done`: the value is dropped; if the task throws, std::terminate().
template <class T>
void spawn(Engine& engine, Task<T> task, std::stop_token stop = {}) {
    const auto drop = [](TaskResult<T> result) noexcept { static_cast<void>(result.get()); };
    spawn(engine, std::move(task), drop, std::move(stop));
}

// Runs `task` on `engine` and blocks until it has ended; returns its value or throws its exception.
// Any thread: the engine's own runs the engine meanwhile. Inside a callback, a task or a posted
// task it throws std::system_error (Errc::resource_deadlock_would_occur) and the task does not run.
// If the engine is lost or its ring fails, it throws std::system_error with the error of
// Aio::wait(), and a task that has not ended stays allocated.
template <class T>
T sync_wait(Engine& engine, Task<T> task, std::stop_token stop = {}) {
    // Throws where wait() cannot wait, while nothing refers to the waiting yet.
    if (engine.on_engine_thread()) engine.run_once(std::chrono::nanoseconds::zero());
    struct Waiting {
        explicit Waiting(Engine& of) : ended(of) {}
        std::optional<TaskResult<T>> result;
        Aio ended;
    };
    // On the heap, since it outlives this call where the task never ends.
    auto waiting = std::make_unique<Waiting>(engine);
    auto done = [&to = *waiting](TaskResult<T> ready) noexcept {
        to.result.emplace(std::move(ready));
        Provider::finish(to.ended);
    };
    // Allocated before `ended` is parked, which only the end of the task finishes.
    auto* const spawned =
        new SpawnedTask<T, decltype(done)>(engine, std::move(task), done, std::move(stop));
    const Starter hold = [](Aio& aio) noexcept { Provider::park(aio, [](Aio&) noexcept {}); };
    Provider::submit(engine, waiting->ended, hold, nullptr);
    spawned->start();
    const std::error_code failed = waiting->ended.wait();
    if (waiting->ended.busy()) static_cast<void>(waiting.release());  // the task refers to it
    if (!waiting || !waiting->result)
        throw std::system_error(failed, "uaio: the engine of a task failed");
    return waiting->result->get();
}

}  // namespace uaio
