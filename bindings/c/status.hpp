#pragma once

#include <exception>
#include <string>
#include <utility>

#include <ctlsign/ctlsign.h>

namespace ctlsign::c {

/// What this interface itself answers with; all else comes from the floors below.
class Refusal : public std::exception {
  public:
    Refusal(ctlsign_status status, std::string text) : status_(status), text_(std::move(text)) {}
    ctlsign_status status() const noexcept { return status_; }
    const char* what() const noexcept override { return text_.c_str(); }

  private:
    ctlsign_status status_;
    std::string text_;
};

/// The one place where an exception becomes a status. ERROR may be null.
ctlsign_status report(const std::exception_ptr& exception, ctlsign_error* error) noexcept;
ctlsign_status report_success(ctlsign_error* error) noexcept;

/// What every function of the interface does its work in.
template <typename Work>
ctlsign_status guarded(ctlsign_error* error, Work work) noexcept {
    try {
        work();
        return report_success(error);
    } catch (...) {
        return report(std::current_exception(), error);
    }
}

}  // namespace ctlsign::c
