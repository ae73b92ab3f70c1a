#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <pkcs11/backoff.hpp>
#include <sast/error.hpp>
#include <sast/public_key.hpp>
#include <sast/token_signer.hpp>

namespace ctlsign::sast {

namespace attribute = pkcs11::attribute;
using pkcs11::Recovery;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// Within which a pull shows (pcscd: 0.1 to 0.4 s), and a token that was put back is all there.
constexpr auto kNotice = 1s;
constexpr auto kPause = 20ms;

static std::vector<pkcs11::MechanismInfo> read_offers(const pkcs11::Token& token) {
    std::vector<pkcs11::MechanismInfo> offers;
    const auto offered = token.mechanisms();
    for (const Digest digest : {Digest::Sha1, Digest::Sha256, Digest::Sha512}) {
        for (const auto mechanism : pkcs11::candidate_mechanisms(digest)) {
            if (std::ranges::find(offered, mechanism) == offered.end()) continue;
            if (std::ranges::find(offers, mechanism, &pkcs11::MechanismInfo::mechanism) != offers.end())
                continue;
            if (const auto info = token.find_mechanism(mechanism)) offers.push_back(*info);
        }
    }
    return offers;
}

TokenSigner::TokenSigner(Identity identity, PinSource& pins, TokenPolicy policy)
    : identity_(std::move(identity)),
      facts_(make_facts(identity_.certificate, identity_.token.text())),
      login_(identity_.token, pins, std::move(policy)),
      quirks_(identity_.token.quirks()),
      session_(pkcs11::Session::open(identity_.token)),
      public_key_(PublicKey::from_spki(identity_.certificate.spki_der())),
      offers_(read_offers(identity_.token)) {}

pkcs11::MechanismPlan TokenSigner::plan(Digest digest) const {
    return pkcs11::plan_signature(digest, facts_.key_bits, offers_, key_ ? key_->allowed : std::nullopt,
                                  quirks_);
}

TokenSigner::Key TokenSigner::find_key() const {
    auto wanted = pkcs11::Template().with<attribute::Class>(pkcs11::ObjectClass::PrivateKey);
    if (!identity_.key_id.empty()) wanted.with<attribute::Id>(identity_.key_id);
    const Bytes modulus = public_key_.modulus();
    auto handles = session_.find_objects(wanted);
    for (pkcs11::Backoff backoff(quirks_.settle); handles.empty() && backoff.pause();)
        handles = session_.find_objects(wanted);
    const auto handle = std::ranges::find_if(handles, [&](pkcs11::ObjectHandle object) {
        const auto its = session_.find_attribute<attribute::Modulus>(object);
        // Some tokens keep the modulus of a private key to themselves; then its id must do, and the signature
        // is verified.
        return its && !its->empty() ? equal(strip_leading_zeros(*its), modulus)
                                    : !identity_.key_id.empty() && handles.size() == 1;
    });
    if (handle == handles.end()) {
        throw Error(handles.empty() ? Errc::NoKey : Errc::KeyMismatch, "finding the private key",
                    identity_.token.text(), "certificate: " + identity_.certificate.subject_text());
    }
    if (session_.find_attribute<attribute::Sign>(*handle) == false) {
        throw Error(Errc::UnsupportedKey, "finding the private key", identity_.token.text(),
                    "this key may not sign (CKA_SIGN is false)");
    }
    // Tokens answer with an empty list where the attribute was never set; it forbids nothing.
    auto allowed = session_.find_attribute<attribute::AllowedMechanisms>(*handle);
    if (allowed && allowed->empty()) allowed.reset();
    return {*handle, std::move(allowed),
            session_.find_attribute<attribute::AlwaysAuthenticate>(*handle).value_or(false)};
}

void TokenSigner::open_key() {
    if (key_) return;
    login_.log_in(session_);
    key_ = find_key();
}

template <typename Work>
auto TokenSigner::with_recovery(Work work) {
    try {
        return work();
    } catch (const Error& e) {
        if (!lost(e)) throw;
        restore(e);
    }
    return work();
}

void TokenSigner::unlock() {
    with_recovery([this] { open_key(); });
}

// The same token, in whichever slot. Looks at every slot: some modules notice a pull only when asked for the
// slot.
static std::optional<pkcs11::Token> find_again(const pkcs11::Token& token) {
    try {
        for (auto& plugged : token.module()->tokens()) {
            if (plugged.info().same_token(token.info())) return std::move(plugged);
        }
    } catch (const Error& e) {
        // A module that has ended shows no token any more. A reader that is being unplugged: the deadline
        // decides.
        if (e.code() == pkcs11::Errc::ModuleEnded) throw;
    }
    return std::nullopt;
}

// Whether opening the token anew may help. A module that has not noticed a pull yet reports some failure.
bool TokenSigner::lost(const Error& error) const {
    if (error.code() == Recovery::token_gone || error.code() == Recovery::session_lost ||
        error.code() == no_pin_set())
        return true;
    if (error.code() == Recovery::device_failed) return error.code().category() == pkcs11::rv_category();
    return error.code() == Recovery::login_needed && key_.has_value();
}

// What a token answers that is not all the way in.
static bool may_settle(const Error& error) {
    return error.code() == Recovery::token_gone || error.code() == Recovery::session_lost ||
           error.code() == Recovery::busy || error.code() == Recovery::device_failed ||
           error.code() == no_pin_set();
}

void TokenSigner::restore(const Error& error) {
    key_.reset();
    try {
        // With the last session goes the login: of a card that was reset the module may think it still open.
        session_.close();
    } catch (const Error&) {
        // It was dead.
    }
    const auto deadline = Clock::now() + std::max<Clock::duration>(login_.policy().wait, kNotice);
    // One that is there is all the way in after that; and has no PIN if it still says so.
    const auto settling = std::max<Clock::duration>(quirks_.settle, kNotice);
    auto settled = Clock::now() + settling;
    for (bool told = false;; std::this_thread::sleep_for(kPause)) {
        auto token = find_again(identity_.token);
        if (!token) {
            settled = Clock::now() + settling;
            if (Clock::now() >= deadline) {
                const auto waited = std::chrono::ceil<std::chrono::seconds>(login_.policy().wait).count();
                throw Error(pkcs11::Errc::TokenGone, error.failed(), error.subject(),
                            waited == 0 ? "plug it in and try again"
                                        : fmt::format("it did not come back within {} s", waited));
            }
            if (!told && login_.policy().wait > kNotice && login_.policy().on_wait) {
                told = true;
                login_.policy().on_wait(identity_.token);
            }
        } else if (!login_.unanswered() || Clock::now() >= settled) {
            // A PIN that may be wrong is not spent on a card that is not all the way in.
            try {
                session_ = pkcs11::Session::open(*token);
                identity_.token = std::move(*token);
                open_key();
                return;
            } catch (const Error& e) {
                if (!may_settle(e) || Clock::now() >= (e.code() == no_pin_set() ? settled : deadline)) throw;
            }
        }
        if (login_.policy().on_pause) login_.policy().on_pause();
    }
}

// The new session stands before the old one goes: the login of a token ends with its last session.
void TokenSigner::replace_session() {
    session_ = pkcs11::Session::open(identity_.token);
    key_->handle = find_key().handle;
}

Bytes TokenSigner::sign_with(pkcs11::SignatureStep step, Digest digest, ByteView message) {
    if (step.input == pkcs11::InputForm::Message) return sign_input(step.mechanism, message);
    return sign_input(step.mechanism, pkcs11::encode_input(step, digest, message, facts_.signature_length));
}

Bytes TokenSigner::sign_input(pkcs11::Mechanism mechanism, ByteView input) {
    const auto attempt = [&](const std::optional<pkcs11::ContextLogin>& context) {
        // Others who use it meanwhile would make it fail.
        const auto alone = quirks_.one_operation_at_a_time ? login_.hold() : pkcs11::TokenLock::Hold();
        return session_.sign(mechanism, key_->handle, input, facts_.signature_length, context);
    };
    if (!key_->always_authenticate) {
        try {
            return attempt(std::nullopt);
        } catch (const Error& e) {
            // A login that was lost is mended by recovery; a key that asks each time, by a login for it.
            if (e.code() != Recovery::login_needed || !session_.logged_in()) throw;
        }
        // It asks each time without saying so (5110 CC).
        if (session_.spent()) replace_session();
        key_->always_authenticate = true;
    }
    return login_.with_context(session_, attempt);
}

void TokenSigner::plan_steps(Digest digest) {
    if (planned_digest_ == digest) return;
    auto whole = plan(digest);
    if (whole.steps.empty()) {
        throw Error(pkcs11::Errc::NoMechanism, "signing with " + std::string(to_text(digest)),
                    identity_.token.text(), fmt::format("{}", fmt::join(whole.explanation, "; ")));
    }
    steps_ = std::move(whole.steps);
    planned_digest_ = digest;
}

Bytes TokenSigner::sign_by_plan(Digest digest, ByteView message) {
    for (;;) {
        try {
            return sign_with(steps_.front(), digest, message);
        } catch (const Error& e) {
            if (e.code() != Recovery::unsupported || steps_.size() == 1) throw;
            steps_.erase(steps_.begin());
            if (session_.spent()) replace_session();
        }
    }
}

Bytes TokenSigner::sign(Digest digest, ByteView message) {
    plan_steps(digest);  // refuses before a PIN is spent
    Bytes signature = with_recovery([&] {
        if (!key_) {
            open_key();
            planned_digest_.reset();  // what the key itself allows is known only now
            plan_steps(digest);
        }
        if (session_.spent()) replace_session();
        return sign_by_plan(digest, message);
    });
    if (!public_key_.verify(digest, {{message}}, signature)) {
        throw Error(Errc::WrongSignature, "signing", identity_.token.text(),
                    "nothing was written; check the token before it is used again: ctlsign token doctor");
    }
    return signature;
}

static pkcs11::Mechanism mechanism_for(pkcs11::InputForm form) noexcept {
    return form == pkcs11::InputForm::DigestInfo ? pkcs11::Mechanism::RsaPkcs : pkcs11::Mechanism::RsaX509;
}

bool TokenSigner::takes(pkcs11::InputForm form) const noexcept {
    const auto offer = std::ranges::find(offers_, mechanism_for(form), &pkcs11::MechanismInfo::mechanism);
    return form != pkcs11::InputForm::Message && offer != offers_.end() && offer->can_sign;
}

Bytes TokenSigner::sign_encoded(pkcs11::InputForm form, ByteView input) {
    if (!takes(form)) {
        throw Error(pkcs11::Errc::NoMechanism, "signing what was encoded here", identity_.token.text(),
                    "it has not " + to_text(mechanism_for(form)));
    }
    return with_recovery([&] {
        open_key();
        if (session_.spent()) replace_session();
        return sign_input(mechanism_for(form), input);
    });
}

}  // namespace ctlsign::sast
