#pragma once

#include <memory>
#include <optional>

#include <pkcs11/mechanism.hpp>
#include <pkcs11/session.hpp>
#include <sast/identity.hpp>
#include <sast/pin_source.hpp>
#include <sast/public_key.hpp>
#include <sast/signer.hpp>

namespace ctlsign::sast {

/// A key on a PKCS#11 token or HSM. Opening it spends no PIN; the first signature logs in, once. The PIN that
/// was entered is held in protected memory while the signer lives, for keys that ask each time, and dropped
/// at its first rejection.
class TokenSigner final : public Signer {
  public:
    /// PINS is borrowed and must outlive the signer. Throws Errc::UnsupportedKey, Errc::NoMechanism.
    TokenSigner(Identity identity, PinSource& pins, pkcs11::FinalTry final_try = pkcs11::FinalTry::Refuse);

    const Facts& facts() const noexcept override { return facts_; }
    const Identity& identity() const noexcept { return identity_; }
    /// How a signature under DIGEST will be made, from what the token tells without login.
    pkcs11::MechanismPlan plan(Digest digest) const;

    /// Logs in, at most once in the signer's life, and finds the private key. Called by the first sign().
    void unlock();
    Bytes sign(Digest digest, ByteView message) override;

  private:
    struct Key {
        pkcs11::ObjectHandle handle{};
        std::optional<std::vector<pkcs11::Mechanism>> allowed;
        bool always_authenticate = false;
    };
    void log_in();
    Key find_key() const;
    void replace_session();
    void plan_steps(Digest digest);
    Bytes sign_by_plan(Digest digest, ByteView message);
    Bytes sign_with(pkcs11::SignatureStep step, Digest digest, ByteView message);
    std::optional<pkcs11::ContextLogin> context_login();

    Identity identity_;
    Facts facts_;
    PinSource& pins_;
    pkcs11::FinalTry final_try_;
    pkcs11::Session session_;
    PublicKey public_key_;
    std::vector<pkcs11::MechanismInfo> offers_;
    std::optional<Key> key_;
    pkcs11::Pin pin_;
    std::optional<Digest> planned_digest_;
    std::vector<pkcs11::SignatureStep>
        steps_;  ///< for planned_digest_; those that the token rejected are gone
};

}  // namespace ctlsign::sast
