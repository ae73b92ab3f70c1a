#include <fmt/format.h>

#include <utility>

#include <pkcs11/error.hpp>
#include <sast/error.hpp>
#include <sast/token_login.hpp>

namespace ctlsign::sast {

using pkcs11::LoginResult;
using pkcs11::Recovery;
using pkcs11::Session;

namespace {

// A PIN that may be wrong is sent once more where the token failed over it: it was pulled at that moment.
constexpr unsigned kMostInVain = 2;

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

void TokenLogin::ask(const Session& session) {
    if (!pin_.empty()) return;
    // Refused before a person is asked for what would not be sent.
    pin_ = pins_.ask(request_for(session, require_try(session)));
    proven_ = false;
    unanswered_.reset();
    sent_in_vain_ = 0;
}

pkcs11::PinStatus TokenLogin::check(const Session& session) {
    const auto now = require_try(session);
    policy_.ledger.notice(session.token().info(), now);
    const auto refuse = [&](std::string_view advice) {
        pin_ = {};  // whoever tries again is asked again
        throw Error(pkcs11::Errc::PinRefused, "login", session.token().text(), advice);
    };
    if (unanswered_ && now.rank() < unanswered_->rank())
        refuse("the token was lost while it looked at the PIN, and has a try less: check the PIN");
    if (sent_in_vain_ == kMostInVain)
        refuse(
            "the token has failed each time it looked at the PIN, which may cost tries: check the token, and "
            "the PIN");
    if (!proven_ && policy_.ledger.contains(session.token().info(), pin_))
        refuse("no PIN was sent; if the PIN was changed to this one: ctlsign token forget-pin-failures");
    return now;
}

void TokenLogin::failed(const Error& error, const Session& session, const pkcs11::PinStatus& before) {
    if (is_rejection(error)) rejected(error, session);
    // Into a session that is dead no PIN is sent.
    if (proven_ || error.failed() != "C_Login" || error.code() == Recovery::session_lost) return;
    unanswered_ = before;
    if (error.code() != no_pin_set()) ++sent_in_vain_;
}

void TokenLogin::accepted(const Session& session) {
    if (!proven_) policy_.ledger.forget(session.token().info());
    proven_ = true;
    unanswered_.reset();
    sent_in_vain_ = 0;
}

void TokenLogin::rejected(const Error& error, const Session& session) {
    const pkcs11::Pin pin = std::exchange(pin_, {});
    // A PIN that was right is no wrong one: the token was disturbed, or is another.
    if (std::exchange(proven_, false)) {
        throw Error(error.code(), error.failed(), error.subject(),
                    "this PIN was right before; it is not sent again. See: ctlsign token doctor");
    }
    if (error.code() == Recovery::pin_wrong && untouched(session)) {
        try {
            policy_.ledger.add(session.token().info(), pin, session.read_pin_status());
        } catch (const std::exception& e) {
            // What has cost a try is told, not that the disk is full.
            throw Error(error.code(), error.failed(), error.subject(),
                        fmt::format("check the PIN; that it was rejected is not remembered: {}", e.what()));
        }
    }
    throw Error(error);
}

LoginResult TokenLogin::log_in(Session& session) {
    const auto info = session.token().read_info();
    if (!info.login_required || session.logged_in()) return LoginResult::AlreadyLoggedIn;
    if (info.protected_authentication_path) {
        const auto lock = hold();
        pins_.look_at_reader(request_for(session, require_try(session)));
        return session.login_at_reader(policy_.final_try);
    }
    ask(session);
    const auto lock = hold();
    const auto before = check(session);
    try {
        const auto result = session.login(pin_, policy_.final_try);
        if (result == LoginResult::LoggedIn) accepted(session);
        return result;
    } catch (const Error& e) {
        failed(e, session, before);
        throw;
    }
}

Bytes TokenLogin::with_context(Session& session,
                               const std::function<Bytes(const pkcs11::ContextLogin&)>& sign) {
    if (session.token().info().protected_authentication_path) {
        const auto lock = hold();
        pins_.look_at_reader(request_for(session, require_try(session)));
        return sign({nullptr, policy_.final_try});
    }
    ask(session);
    const auto lock = hold();
    const auto before = check(session);
    try {
        Bytes signature = sign({&pin_, policy_.final_try});
        accepted(session);
        return signature;
    } catch (const Error& e) {
        failed(e, session, before);
        throw;
    }
}

}  // namespace ctlsign::sast
