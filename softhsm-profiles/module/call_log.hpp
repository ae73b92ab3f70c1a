#pragma once

#include <p11-kit/pkcs11.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include <pkcs11/descriptor.hpp>

namespace ctlsign::virtual_token {

/// One line for each call in the file "log" of the folder, when there is such a file at C_Initialize. It gets
/// names and numbers only: no octet of an argument, and no length, which could be a PIN's.
class CallLog {
  public:
    /// Instead of the one that was open before. It stays open after C_Finalize, which has a line too.
    void open(const std::filesystem::path& folder);
    bool is_open() const noexcept { return open_; }

    /// ARGUMENTS are written as they are.
    void write(std::string_view function, const std::string& arguments, CK_RV rv,
               std::chrono::nanoseconds duration);
    /// Why a call failed with CKR_GENERAL_ERROR.
    void write_note(std::string_view text);

  private:
    void write_line(const std::string& text);

    std::mutex mutex_;
    Descriptor file_;
    std::atomic<bool> open_ = false;
};

}  // namespace ctlsign::virtual_token
