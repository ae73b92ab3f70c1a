#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace ctlsign::pkcs11 {

/// Growing pauses between tries of what may work a little later.
class Backoff {
  public:
    /// LIMIT is the time for all pauses together; it begins now.
    explicit Backoff(std::chrono::milliseconds limit) : end_(Clock::now() + limit) {}

    /// Sleeps until the next try is due. False, at once, when the time is up.
    bool pause() {
        const auto now = Clock::now();
        if (now >= end_) return false;
        std::this_thread::sleep_until(std::min(now + next_, end_));
        next_ = std::min(next_ * 2, std::chrono::milliseconds(100));
        return true;
    }

  private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point end_;
    std::chrono::milliseconds next_{5};
};

}  // namespace ctlsign::pkcs11
