#pragma once

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>

/// What this process holds, so that a test can see that nothing piles up.
namespace ctlsign::testing {

/// The processes that this one has started and not waited for.
inline std::size_t count_children() {
    std::size_t count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream children(task.path() / "children");
        for (pid_t child = 0; children >> child;) ++count;
    }
    return count;
}

inline std::size_t count_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
}

/// Octets in memory.
inline std::size_t resident_memory() {
    std::size_t all = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> all >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace ctlsign::testing
