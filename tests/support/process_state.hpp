#pragma once

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

/// What this process holds, so that a test can see that nothing piles up.
namespace ctlsign::testing {

/// The processes that PROCESS has started and not waited for.
inline std::vector<pid_t> children_of(pid_t process) {
    std::vector<pid_t> all;
    for (const auto& task :
         std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
        std::ifstream its(task.path() / "children");
        for (pid_t child = 0; its >> child;) all.push_back(child);
    }
    return all;
}
inline std::vector<pid_t> children() {
    return children_of(getpid());
}
inline std::size_t count_children() {
    return children().size();
}

inline std::size_t count_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
}

/// Octets of addresses that are taken.
inline std::size_t address_space() {
    std::size_t all = 0;
    std::ifstream("/proc/self/statm") >> all;
    return all * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// Octets in memory.
inline std::size_t resident_memory() {
    std::size_t all = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> all >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace ctlsign::testing
