#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pkcs11/session.hpp>
#include <pkcs11/uri.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::sast {

/// Whether a certificate's key was seen on the token, private or public, by CKA_ID or modulus. Private keys
/// are often hidden until login.
enum class KeyEvidence { Seen, NotSeen };

/// A certificate on a plugged token, found without login: somebody who could sign.
struct Identity {
    pkcs11::Token token;
    Certificate certificate;
    Bytes key_id;       ///< CKA_ID of certificate and key; empty when only the key itself can tell
    std::string label;  ///< CKA_LABEL
    KeyEvidence evidence = KeyEvidence::NotSeen;
    /// A security token as the trust-list specification names them: its common name begins with "SAST-".
    bool is_sast() const;
};

/// Which modules to look into: MODULE_PATH when given ("|COMMAND" serves one), else what the URI names
/// (module-path, module-name), else every module that p11-kit has configured; those that fail to start are
/// added to FAILURES. With ISOLATION each in a process of its own. Throws when a module named does not load.
std::vector<std::shared_ptr<pkcs11::Module>> open_modules(
    const std::optional<std::string>& module_path, const std::optional<pkcs11::Uri>& uri,
    const std::optional<pkcs11::Module::Isolation>& isolation,
    std::vector<pkcs11::Module::Failure>& failures);

/// Every token plugged into MODULES. Two modules that show the same token (manufacturer, serial, label) give
/// it once.
std::vector<pkcs11::Token> list_tokens(std::span<const std::shared_ptr<pkcs11::Module>> modules);

/// Every X.509 certificate that TOKEN shows without login, an issuer's without a key included. Throws CK_RV.
std::vector<Identity> list_identities(const pkcs11::Token& token);

/// What names a token: a PKCS#11 URI, or its label or serial number as it stands.
class TokenName {
  public:
    /// TEXT is a URI when it begins with "pkcs11:". Throws what Uri::parse throws.
    static TokenName parse(std::string_view text);
    // NOLINTNEXTLINE(google-explicit-constructor): a URI is such a name
    TokenName(pkcs11::Uri uri) : uri_(std::move(uri)) {}

    /// Whether TOKEN is one that is so named; for a URI, Uri::matches().
    bool matches(const pkcs11::Token& token) const;
    /// Nothing for a label or serial. Borrowed from the name.
    const std::optional<pkcs11::Uri>& uri() const noexcept { return uri_; }
    /// As parse() reads it. Throws what Uri::to_text throws.
    std::string to_text() const;

  private:
    explicit TokenName(std::string_view text) : text_(text) {}
    std::optional<pkcs11::Uri> uri_;
    std::string text_;
};

/// The one token that NAME (any when absent) means. Throws Errc::NoToken, or Errc::SeveralTokens with serial,
/// label and slot of each. No login, no PIN.
pkcs11::Token choose_token(std::span<const pkcs11::Token> tokens, const std::optional<TokenName>& name);

/// The one identity on TOKEN that URI means. STAND_IN takes the place of a certificate that the token does
/// not hold; it is checked against the token's public keys where they can be seen. Throws
/// Errc::NoCertificate, SeveralKeys or KeyMismatch.
Identity choose_identity(const pkcs11::Token& token, const std::optional<pkcs11::Uri>& uri,
                         const std::optional<Certificate>& stand_in);

}  // namespace ctlsign::sast
