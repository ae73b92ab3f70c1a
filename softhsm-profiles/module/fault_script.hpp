#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include <softhsm-profiles/fault.hpp>

namespace ctlsign::virtual_token {

/// The file "faults" of a folder, played by every process that has the folder open: its first line is the
/// fault to come, counted down in the file and removed when it happens.
class FaultScript {
  public:
    using Clock = std::chrono::steady_clock;

    void open(const std::filesystem::path& folder);
    /// The file may have changed.
    void look_again();

    /// The fault that happens to this call. Throws softhsm::Errc::MalformedFault.
    std::optional<softhsm::Fault> on_call(std::string_view function);
    std::optional<softhsm::Fault> on_signature();
    std::optional<softhsm::Fault> on_time(Clock::time_point now);
    /// When to ask on_time() again.
    std::optional<Clock::time_point> due();

  private:
    using Matches = std::function<bool(const softhsm::Fault&)>;
    void look();
    std::optional<softhsm::Fault> take(const Matches& matches);
    void arm(std::string line);

    std::mutex mutex_;
    std::filesystem::path file_;
    bool looked_ = false;
    std::string line_;                     // the first of the file
    std::optional<softhsm::Fault> fault_;  // what it says
    Clock::time_point armed_;              // since when it is the first
};

}  // namespace ctlsign::virtual_token
