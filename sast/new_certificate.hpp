#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct evp_pkey_st;
struct x509_st;
struct X509_name_st;

namespace ctlsign::sast {

struct FreeX509 {
    void operator()(x509_st* certificate) const noexcept;
};
using NewCertificatePtr = std::unique_ptr<x509_st, FreeX509>;

/// Private: what a certificate that is made here says.
struct NewCertificateFields {
    struct Extension {
        int nid;
        const char* value;  ///< as openssl.cnf has it
    };
    const X509_name_st* subject;
    const X509_name_st* issuer;
    evp_pkey_st* key;                    ///< its public half
    std::int64_t not_before, not_after;  ///< Unix seconds
    std::size_t serial_octets = 16;
    std::span<const Extension> extensions = {};
};

/// Private: a certificate (RFC 5280) that is not signed yet. Its serial number is drawn at random, positive
/// and of exactly that many octets. Throws Errc::MalformedCertificate with OpenSSL's reason.
NewCertificatePtr make_unsigned_certificate(const NewCertificateFields& fields);

}  // namespace ctlsign::sast
