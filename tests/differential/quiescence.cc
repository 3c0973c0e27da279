#include "tests/differential/quiescence.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

namespace differential {
namespace {

// How often each other thread was switched out (proc_pid_status(5)); empty if one may run.
std::map<int, std::string> switches_of_sleepers() {
    std::map<int, std::string> switches;
    DIR* const folder = ::opendir("/proc/self/task");
    bool running = folder == nullptr;
    while (const dirent* entry = running ? nullptr : ::readdir(folder)) {
        const int thread = std::atoi(entry->d_name);
        if (thread == 0 || thread == ::gettid()) continue;
        std::ifstream status("/proc/self/task/" + std::string(entry->d_name) + "/status");
        std::string& known = switches[thread];
        for (std::string line; std::getline(status, line);) {
            if (line.starts_with("State:")) running = running || line.find("S (") == line.npos;
            if (line.find("_ctxt_switches") != line.npos) known += line;
        }
    }
    if (folder) ::closedir(folder);
    if (running) switches.clear();
    return switches;
}

}  // namespace

bool is_idle() {
    const auto before = switches_of_sleepers();
    return !before.empty() && before == switches_of_sleepers();
}

}  // namespace differential
