#pragma once

#include <unistd.h>

#include <utility>

namespace ctlsign {

/// Owns a file descriptor, or none: closed when destroyed, without a word of how that went. Move-only.
class Descriptor {
  public:
    Descriptor() noexcept = default;
    /// Takes NUMBER over; a negative one, the answer of a call that failed, is none.
    explicit Descriptor(int number) noexcept : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
    Descriptor& operator=(Descriptor other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }

    int get() const noexcept { return number_; }
    /// Gives it to the caller.
    [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }
    explicit operator bool() const noexcept { return number_ >= 0; }

  private:
    int number_ = -1;
};

}  // namespace ctlsign
