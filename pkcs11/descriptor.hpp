#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ctlsign {

/// What the system CALL answers, called again as long as a signal has interrupted it.
template <typename Call>
auto retry(Call call) {
    auto result = call();
    while (result == -1 && errno == EINTR) result = call();
    return result;
}

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
