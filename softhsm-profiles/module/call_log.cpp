#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/module/call_log.hpp>

namespace ctlsign::virtual_token {

void CallLog::open(const std::filesystem::path& folder) {
    const std::scoped_lock lock(mutex_);
    file_ = Descriptor(::open((folder / "log").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    open_ = static_cast<bool>(file_);
}

void CallLog::write(std::string_view function, const std::string& arguments, CK_RV rv,
                    std::chrono::nanoseconds duration) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    write_line(
        fmt::format("{}({}) {} {}us", function, arguments, pkcs11::make_rv(rv).message(), microseconds));
}

void CallLog::write_note(std::string_view text) {
    write_line(fmt::format("note: {}", text));
}

void CallLog::write_line(const std::string& text) {
    const std::scoped_lock lock(mutex_);
    if (!file_) return;
    const auto now =
        std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    const auto microseconds = now.time_since_epoch().count() % 1'000'000;
    const std::string line = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z {}.{} {}\n",
                                         fmt::gmtime(std::chrono::system_clock::to_time_t(now)), microseconds,
                                         getpid(), gettid(), text);
    // One write a line: lines of several processes do not mix. A full disk costs the log, not the call.
    [[maybe_unused]] const auto written = ::write(file_.get(), line.data(), line.size());
}

}  // namespace ctlsign::virtual_token
