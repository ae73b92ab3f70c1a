#pragma once

#include <optional>

#include <pkcs11/mechanism.hpp>
#include <pkcs11/session.hpp>
#include <sast/identity.hpp>
#include <sast/public_key.hpp>
#include <sast/signer.hpp>
#include <sast/token_login.hpp>

namespace ctlsign::sast {

/// A key on a PKCS#11 token or HSM. Opening it spends no PIN; the first signature logs in, as TokenLogin
/// says. A token that is pulled and put back, into whichever reader, is found again by manufacturer, serial
/// and label, and its key by CKA_ID and public key; the signature is then tried once more.
class TokenSigner final : public Signer {
  public:
    /// PINS is borrowed and must outlive the signer. Throws Errc::UnsupportedKey, CK_RV.
    TokenSigner(Identity identity, PinSource& pins, TokenPolicy policy = {});

    /// Borrowed; known without login.
    const Facts& facts() const noexcept override { return facts_; }
    /// What it was opened with; its token is the one that was found last. Borrowed.
    const Identity& identity() const noexcept { return identity_; }
    /// How a signature under DIGEST will be made, from what the token tells without login.
    pkcs11::MechanismPlan plan(Digest digest) const;

    /// Logs in and finds the private key. Called by the first sign(), and again after the token was pulled.
    void unlock();
    /// See Signer::sign; logs in when it has to. Throws pkcs11::Errc::NoMechanism, CK_RV, and what TokenLogin
    /// throws.
    Bytes sign(Digest digest, ByteView message) override;

    /// Whether the token takes input of this FORM, from what it tells without login.
    bool takes(pkcs11::InputForm form) const noexcept;
    /// For a library that encodes by itself, such as OpenSSL: INPUT is a DigestInfo or a padded block. The
    /// signature is not verified. Throws pkcs11::Errc::NoMechanism unless the token takes FORM.
    Bytes sign_encoded(pkcs11::InputForm form, ByteView input);

  private:
    struct Key {
        pkcs11::ObjectHandle handle{};
        std::optional<std::vector<pkcs11::Mechanism>> allowed;
        bool always_authenticate = false;
    };
    Key find_key() const;
    void open_key();
    template <typename Work>
    auto with_recovery(Work work);
    bool lost(const Error& error) const;
    void restore(const Error& error);
    void replace_session();
    void plan_steps(Digest digest);
    Bytes sign_by_plan(Digest digest, ByteView message);
    Bytes sign_with(pkcs11::SignatureStep step, Digest digest, ByteView message);
    Bytes sign_input(pkcs11::Mechanism mechanism, ByteView input);

    Identity identity_;
    Facts facts_;
    TokenLogin login_;
    pkcs11::Quirks quirks_;
    pkcs11::Session session_;
    PublicKey public_key_;
    std::vector<pkcs11::MechanismInfo> offers_;
    std::optional<Key> key_;
    std::optional<Digest> planned_digest_;
    std::vector<pkcs11::SignatureStep>
        steps_;  ///< for planned_digest_; those that the token rejected are gone
};

}  // namespace ctlsign::sast
