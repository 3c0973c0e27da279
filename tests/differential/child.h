// Runs a scenario in a child process, since nng aborts the process in some. Call it while this
// process has one thread.
#pragma once

#include "tests/differential/row.h"

#include <sys/types.h>

#include <functional>
#include <memory>

namespace differential {

using DriverFactory = std::function<std::unique_ptr<Driver>()>;

// A child's report to the parent: the fields, and how it ended.
struct Played {
    Observation observation;
    bool died = false;    // aborted by the library
    std::string refused;  // why the driver could not be made, if so
    std::string failure;  // its standard error after a failure
};

// A child that runs a scenario; several may run at once.
class Child {
public:
    Child(void (*scenario)(Stage&), const DriverFactory& factory);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    // Waits for its end, bounded by an alarm. Once.
    Played join();

private:
    pid_t process_ = -1;
    int results_ = -1;  // where the child writes its fields
    int errors_ = -1;   // its standard error, a file
};

}  // namespace differential
