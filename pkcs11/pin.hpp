#pragma once

#include <cstddef>
#include <string_view>

#include <pkcs11/bytes.hpp>
#include <pkcs11/limits.hpp>

namespace ctlsign::pkcs11 {

/// A PIN or a passphrase, the only type that holds one. It lives in a page of its own that is locked in
/// memory and left out of core files; it is wiped when destroyed, when moved from, and in a forked child,
/// where it is empty. It is never copied and cannot be printed.
class Pin {
  public:
    static constexpr std::size_t kMaxSize = limits::kPin;

    Pin() noexcept = default;
    /// Takes TEXT over into protected memory and wipes the caller's octets. Throws std::length_error past
    /// kMaxSize.
    static Pin take(std::span<char> text);

    Pin(Pin&& other) noexcept;
    Pin& operator=(Pin&& other) noexcept;
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    ~Pin();

    /// True without a PIN: never taken, moved from, or in a forked child.
    bool empty() const noexcept { return reveal_secret().empty(); }
    /// The octets: the one way to read a secret, named so that it is found by a search.
    std::string_view reveal_secret() const noexcept;

  private:
    void wipe() noexcept;
    struct Page;
    Page* page_ = nullptr;
};

/// Overwrites memory in a way that a compiler keeps.
void wipe_memory(std::span<char> memory) noexcept;

}  // namespace ctlsign::pkcs11
