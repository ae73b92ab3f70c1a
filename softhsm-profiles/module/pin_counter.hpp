#pragma once

#include <p11-kit/pkcs11.h>

#include <filesystem>
#include <functional>

namespace ctlsign::virtual_token {

/// How many wrong user PINs a token still takes: a file beside it, shared by every process.
class PinCounter {
  public:
    /// MAXIMUM 0: the token never locks, and there is no file.
    PinCounter(std::filesystem::path file, unsigned maximum);

    unsigned maximum() const noexcept { return maximum_; }
    unsigned left() const;

    /// What LOGIN answers, or CKR_PIN_LOCKED without asking it. A try is written off before LOGIN and given
    /// back afterwards, as a token does it, so that a process that dies in between has spent it.
    CK_RV spend(const std::function<CK_RV()>& login);
    void reset();

  private:
    std::filesystem::path file_;
    unsigned maximum_;
};

}  // namespace ctlsign::virtual_token
