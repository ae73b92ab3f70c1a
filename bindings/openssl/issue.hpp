#pragma once

#include <cstdint>
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

/// A certificate for REQUEST (DER; its signature is checked) by an issuer's private key and certificate in
/// PEM (not encrypted). The subject is the request's. Throws sast::Errc::MalformedKey, MalformedCertificate.
sast::Certificate issue_for_request(ByteView request, std::string_view issuer_pem,
                                    const CertificateTerms& terms);

}  // namespace ctlsign::openssl
