#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <system_error>

namespace ctlsign::testing::soak {

using Clock = std::chrono::steady_clock;

/// What happens, a line each, in a file that threads and processes share: what a process saw before it was
/// killed is there too.
class Record {
  public:
    explicit Record(std::filesystem::path file)
        : file_(std::move(file)),
          descriptor_(open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
        if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), file_.string());
    }
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;
    ~Record() { close(descriptor_); }

    const std::filesystem::path& file() const { return file_; }
    void count(const std::string& what) const {
        const std::string line = what + '\n';
        (void)!write(descriptor_, line.data(), line.size());
    }
    /// Something that must not happen.
    void fail(const std::string& what) const { count(kFailed + what); }

    /// How often each thing happened.
    std::map<std::string, unsigned long> read() const {
        std::map<std::string, unsigned long> counts;
        std::ifstream in(file_);
        for (std::string line; std::getline(in, line);) ++counts[line];
        return counts;
    }
    static bool is_failure(const std::string& what) { return what.starts_with(kFailed); }

  private:
    static constexpr const char* kFailed = "FAILED: ";
    std::filesystem::path file_;
    int descriptor_;
};

}  // namespace ctlsign::testing::soak
