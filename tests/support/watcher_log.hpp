#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <pkcs11/watcher.hpp>

namespace ctlsign::testing {

/// What a watcher told, "+A" and "-A" by label, or by another text of the token; made before the watcher that
/// it is given to.
class WatcherLog {
  public:
    explicit WatcherLog(std::string pkcs11::TokenInfo::*name = &pkcs11::TokenInfo::label) : name_(name) {}

    void operator()(const pkcs11::Watcher::Event& event) {
        const std::scoped_lock lock(mutex_);
        lines_.push_back((event.change == pkcs11::Watcher::Change::Arrived ? "+" : "-") +
                         event.token.info().*name_);
        last_ = std::chrono::steady_clock::now();
        told_.notify_all();
    }
    std::function<void(const pkcs11::Watcher::Event&)> callback() {
        return [this](const auto& event) { (*this)(event); };
    }

    std::vector<std::string> lines() const {
        const std::scoped_lock lock(mutex_);
        return lines_;
    }
    /// Waits until COUNT lines are there, and takes them away.
    std::vector<std::string> take(std::size_t count) {
        std::unique_lock lock(mutex_);
        if (!told_.wait_for(lock, std::chrono::seconds(30), [&] { return lines_.size() >= count; }))
            throw std::runtime_error("waited in vain for the watcher");
        const auto end = lines_.begin() + static_cast<std::ptrdiff_t>(count);
        std::vector<std::string> taken(lines_.begin(), end);
        lines_.erase(lines_.begin(), end);
        return taken;
    }
    std::chrono::steady_clock::time_point last() const {
        const std::scoped_lock lock(mutex_);
        return last_;
    }

  private:
    std::string pkcs11::TokenInfo::*name_;
    mutable std::mutex mutex_;
    std::condition_variable told_;
    std::vector<std::string> lines_;
    std::chrono::steady_clock::time_point last_;
};

}  // namespace ctlsign::testing
