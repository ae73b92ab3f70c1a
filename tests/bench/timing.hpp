#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include <pkcs11/watcher.hpp>

namespace ctlsign::testing {

inline double milliseconds(std::chrono::steady_clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

inline double median(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// Keeps when a watcher told of something.
class WatcherBell {
  public:
    using Clock = std::chrono::steady_clock;
    using Change = pkcs11::Watcher::Change;

    pkcs11::Watcher::Callback callback() {
        return [this](const pkcs11::Watcher::Event& event) {
            const std::scoped_lock lock(mutex_);
            last_ = {event.change, Clock::now()};
            rang_.notify_all();
        };
    }
    /// Waits until CHANGE is told; how long after SINCE that was.
    double wait_for(Change change, Clock::time_point since) {
        std::unique_lock lock(mutex_);
        rang_.wait(lock, [&] { return last_ && last_->change == change && last_->at > since; });
        return milliseconds(last_->at - since);
    }

  private:
    struct Ring {
        Change change;
        Clock::time_point at;
    };
    std::mutex mutex_;
    std::condition_variable rang_;
    std::optional<Ring> last_;
};

}  // namespace ctlsign::testing
