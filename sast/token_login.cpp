#include <utility>

#include <pkcs11/error.hpp>
#include <sast/error.hpp>
#include <sast/token_login.hpp>

namespace ctlsign::sast {

using pkcs11::LoginResult;
using pkcs11::Recovery;
using pkcs11::Session;

namespace {

bool is_rejection(const Error& error) {
    return error.failed() == "C_Login" && error.code() != no_pin_set() &&
           (error.code() == Recovery::pin_wrong || error.code() == Recovery::pin_locked);
}

// The token answers, as the one that was asked, and the session that asked is alive: nobody pulled it.
bool untouched(const Session& session) {
    try {
        (void)session.logged_in();
        return session.token().read_info().same_token(session.token().info());
    } catch (const Error&) {
        return false;
    }
}

PinRequest request_for(const Session& session, const pkcs11::PinStatus& status) {
    const pkcs11::Token& token = session.token();
    return {PinRequest::Kind::UserPin, token.text(), status.state, token.info(), status.tries};
}

}  // namespace

std::error_code no_pin_set() noexcept {
    return pkcs11::make_rv(pkcs11::kUserPinNotInitialized);
}

TokenLogin::TokenLogin(const pkcs11::Token& token, PinSource& pins, TokenPolicy policy)
    : pins_(pins), policy_(std::move(policy)), lock_(token) {}

pkcs11::PinStatus TokenLogin::require_try(const Session& session) const {
    const auto status = session.read_pin_status();
    pkcs11::require_try(session.token(), status, policy_.final_try);
    return status;
}

void TokenLogin::ask(const Session& session, const pkcs11::PinStatus& status) {
    if (!pin_.empty()) return;
    pin_ = pins_.ask(request_for(session, status));
    proven_ = false;
    unanswered_.reset();
}

void TokenLogin::require_unrejected(const Session& session, const pkcs11::PinStatus& now) {
    const bool a_try_less = unanswered_ && now.rank() < unanswered_->rank();
    if (!a_try_less && (proven_ || !policy_.ledger.contains(session.token().info(), pin_))) return;
    pin_ = {};  // whoever tries again is asked again
    throw Error(
        pkcs11::Errc::PinRefused, "login", session.token().text(),
        a_try_less
            ? "the token was lost while it looked at the PIN, and has a try less: check the PIN"
            : "no PIN was sent; if the PIN was changed to this one: ctlsign token forget-pin-failures");
}

void TokenLogin::accepted(const Session& session) {
    if (!proven_) policy_.ledger.forget(session.token().info());
    proven_ = true;
    unanswered_.reset();
}

void TokenLogin::rejected(const Error& error, const Session& session) {
    const pkcs11::Pin pin = std::exchange(pin_, {});
    // A PIN that was right is no wrong one: the token was disturbed, or is another.
    if (std::exchange(proven_, false)) {
        throw Error(error.code(), error.failed(), error.subject(),
                    "this PIN was right before; it is not sent again. See: ctlsign token doctor");
    }
    if (error.code() == Recovery::pin_wrong && untouched(session)) {
        policy_.ledger.add(session.token().info(), pin, session.read_pin_status());
    }
    throw Error(error);
}

LoginResult TokenLogin::log_in(Session& session) {
    const auto info = session.token().read_info();
    if (!info.login_required || session.logged_in()) return LoginResult::AlreadyLoggedIn;
    // Refused before a person is asked for what would not be sent.
    const auto status = require_try(session);
    if (info.protected_authentication_path) {
        pins_.look_at_reader(request_for(session, status));
        return session.login_at_reader(policy_.final_try);
    }
    ask(session, status);
    const auto lock = hold();
    const auto before = session.read_pin_status();
    policy_.ledger.notice(session.token().info(), before);
    require_unrejected(session, before);
    try {
        const auto result = session.login(pin_, policy_.final_try);
        if (result == LoginResult::LoggedIn) accepted(session);
        return result;
    } catch (const Error& e) {
        if (is_rejection(e)) rejected(e, session);
        if (!proven_) unanswered_ = before;
        throw;
    }
}

Bytes TokenLogin::with_context(Session& session,
                               const std::function<Bytes(const pkcs11::ContextLogin&)>& sign) {
    if (session.token().info().protected_authentication_path) {
        pins_.look_at_reader(request_for(session, {}));
        return sign({nullptr, policy_.final_try});
    }
    const auto status = require_try(session);
    ask(session, status);
    const auto lock = hold();
    require_unrejected(session, status);
    try {
        Bytes signature = sign({&pin_, policy_.final_try});
        accepted(session);
        return signature;
    } catch (const Error& e) {
        if (is_rejection(e)) rejected(e, session);
        if (!proven_) unanswered_ = status;
        throw;
    }
}

}  // namespace ctlsign::sast
