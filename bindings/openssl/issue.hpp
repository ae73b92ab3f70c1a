#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <bindings/openssl/token_key.hpp>
#include <pkcs11/bytes.hpp>
#include <pkcs11/digest.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::openssl {

/// Who a certificate is for and how long it is good.
struct CertificateTerms {
    std::string subject;  ///< "CN=...,OU=...,O=...", a backslash before a comma that belongs to a value
    std::int64_t not_before = 0, not_after = 0;  ///< Unix seconds
    Digest digest = Digest::Sha256;
};

/// A certificate request (PKCS#10, RFC 2986) in DER, signed by the token's key.
Bytes make_certificate_request(const TokenKey& key, const std::string& subject, Digest digest);

/// A certificate of the token's key, signed by itself.
sast::Certificate issue_self_signed(const TokenKey& key, const CertificateTerms& terms);

/// Who issues certificates: a private key and its certificate. Move-only.
class Issuer {
  public:
    /// From PEM that holds both; the key must not be encrypted. Throws sast::Errc::MalformedKey,
    /// MalformedCertificate, KeyMismatch.
    static Issuer decode_pem(std::string_view pem);
    Issuer(Issuer&&) noexcept;
    Issuer& operator=(Issuer&&) noexcept;
    ~Issuer();

    /// A certificate for REQUEST (DER; its signature is checked). The subject is the request's.
    sast::Certificate issue(ByteView request, const CertificateTerms& terms) const;

  private:
    struct Impl;
    explicit Issuer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace ctlsign::openssl
