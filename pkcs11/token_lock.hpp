#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

/// One user of a token at a time, among the processes and threads of this user: a file in
/// user_state_folder()/locks, named after the token, locked with flock(2). It goes with the process that
/// holds it. For one thread.
class TokenLock {
  public:
    /// How long another user of a token is waited for, unless somebody wants it otherwise.
    static constexpr std::chrono::seconds kPatience{30};

    /// Nothing is opened yet.
    explicit TokenLock(const Token& token);
    ~TokenLock();
    TokenLock(const TokenLock&) = delete;
    TokenLock& operator=(const TokenLock&) = delete;

    /// The lock for the length of a scope, or nothing; a second one within it is free.
    class Hold {
      public:
        Hold() noexcept = default;
        explicit Hold(TokenLock& lock) noexcept : lock_(&lock) {}
        Hold(Hold&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
        Hold& operator=(Hold&&) = delete;
        ~Hold() {
            if (lock_ != nullptr) lock_->release();
        }

      private:
        TokenLock* lock_ = nullptr;
    };
    /// Tries, backing off, for at most WAIT, and calls ON_PAUSE in between; what that throws ends the wait.
    /// Throws Errc::TokenInUse, or the system's code when there is no place for the file.
    [[nodiscard]] Hold hold(std::chrono::milliseconds wait, const std::function<void()>& on_pause = {});

  private:
    void open();
    void release() noexcept;

    std::string name_, text_;
    int descriptor_ = -1;
    pid_t process_ = 0;  ///< that opened it: a child shares its parent's lock and must open its own
    unsigned depth_ = 0;
};

}  // namespace ctlsign::pkcs11
