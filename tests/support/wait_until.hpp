#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

namespace ctlsign::testing {

// Throws when CONDITION does not come true within half a minute, which is far more than what is waited for
// takes.
inline void wait_until(const std::function<bool()>& condition) {
    using namespace std::chrono_literals;
    for (const auto end = std::chrono::steady_clock::now() + 30s; !condition();) {
        if (std::chrono::steady_clock::now() > end) throw std::runtime_error("waited for 30 s in vain");
        std::this_thread::sleep_for(10ms);
    }
}

}  // namespace ctlsign::testing
