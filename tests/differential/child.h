// Plays a scenario in a process of its own, since nng stops the process in some. Call it while this
// process has one thread.
#pragma once

#include "tests/differential/row.h"

#include <sys/types.h>

#include <functional>
#include <memory>

namespace differential {

using DriverFactory = std::function<std::unique_ptr<Driver>()>;

// What the parent learnt from a child: the fields, and beside them how it ended.
struct Played {
    Observation observation;
    bool died = false;    // stopped by the library
    std::string refused;  // why the driver could not be made, if so
    std::string trouble;  // what it said on standard error, when something went wrong
};

// A child that plays; several may at once.
class Child {
public:
    Child(void (*scenario)(Stage&), const DriverFactory& factory);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    // Waits for its end, by an alarm at the latest. Once.
    Played join();

private:
    pid_t process_ = -1;
    int results_ = -1;  // where the child writes its fields
    int errors_ = -1;   // its standard error, a file
};

}  // namespace differential
