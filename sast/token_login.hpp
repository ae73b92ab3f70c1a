#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <system_error>

#include <pkcs11/error.hpp>
#include <pkcs11/pin.hpp>
#include <pkcs11/session.hpp>
#include <pkcs11/token_lock.hpp>
#include <sast/pin_ledger.hpp>
#include <sast/pin_source.hpp>

namespace ctlsign::sast {

/// CKR_USER_PIN_NOT_INITIALIZED: besides a token that has no PIN, a card says so that is not all the way in.
std::error_code no_pin_set() noexcept;

/// How far a token may be used.
struct TokenPolicy {
    pkcs11::FinalTry final_try = pkcs11::FinalTry::Refuse;
    /// For a token that was pulled to come back. One that is there again is used without waiting.
    std::chrono::milliseconds wait{0};
    /// Called once each time the wait begins, so that a person can be told to put the token back.
    std::function<void(const pkcs11::Token&)> on_wait;
    /// Called again and again while the token, or another program that uses it, is waited for. What it throws
    /// ends the wait: for callers that can be interrupted.
    std::function<void()> on_pause;
    /// For another process to be done with the token.
    std::chrono::milliseconds lock_wait = pkcs11::TokenLock::kPatience;
    PinLedger ledger;
};

/// The one way a PIN is sent to a token. The PIN that a person entered is held in protected memory for as
/// long as this lives, may open the token again after it was pulled, and serves keys that ask each time; its
/// first rejection ends that. So each PIN entered is rejected at most once. Not for two threads at once.
class TokenLogin {
  public:
    /// PINS is borrowed.
    TokenLogin(const pkcs11::Token& token, PinSource& pins, TokenPolicy policy);

    /// Logs in to SESSION's token unless it is open already. Tries left, and the ledger, are read before:
    /// throws CKR_PIN_LOCKED, Errc::FinalTryRefused, Errc::PinRefused with no PIN sent; and CK_RV of C_Login.
    pkcs11::LoginResult log_in(pkcs11::Session& session);

    /// Calls SIGN with the login that a key needs for this one operation, and returns what it returns.
    Bytes with_context(pkcs11::Session& session,
                       const std::function<Bytes(const pkcs11::ContextLogin&)>& sign);

    /// Whether a PIN that may be wrong was sent and not answered.
    bool unanswered() const noexcept { return sent_in_vain_ != 0; }
    /// As it was given. Borrowed.
    const TokenPolicy& policy() const noexcept { return policy_; }
    /// The token's lock for the length of a scope. Throws pkcs11::Errc::TokenInUse.
    [[nodiscard]] pkcs11::TokenLock::Hold hold() { return lock_.hold(policy_.lock_wait, policy_.on_pause); }

  private:
    pkcs11::PinStatus require_try(const pkcs11::Session& session) const;
    void ask(const pkcs11::Session& session);
    // As late as can be before pin_ is sent: others may have used tries while a person typed. Throws what
    // log_in throws with no PIN sent.
    pkcs11::PinStatus check(const pkcs11::Session& session);
    void accepted(const pkcs11::Session& session);
    void failed(const Error& error, const pkcs11::Session& session, const pkcs11::PinStatus& before);
    [[noreturn]] void rejected(const Error& error, const pkcs11::Session& session);

    PinSource& pins_;
    TokenPolicy policy_;
    pkcs11::TokenLock lock_;
    pkcs11::Pin pin_;
    bool proven_ = false;  ///< the token has accepted pin_
    /// Before pin_ was sent with no answer to it: the token was pulled meanwhile, or failed.
    std::optional<pkcs11::PinStatus> unanswered_;
    unsigned sent_in_vain_ = 0;  ///< how often that was, of a token that need not count
};

}  // namespace ctlsign::sast
