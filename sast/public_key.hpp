#pragma once

#include <memory>
#include <span>

#include <pkcs11/bytes.hpp>
#include <pkcs11/digest.hpp>

struct evp_pkey_st;
struct evp_pkey_ctx_st;

namespace ctlsign::sast {

/// A key that verifies. Cheap to move. The first verification prepares OpenSSL for this key, the next ones
/// cost half. Not for two threads at once.
class PublicKey {
  public:
    /// From PKCS#1 RSAPublicKey DER (tag 7 of a trust-list record). Throws sast::Errc::MalformedKey.
    static PublicKey from_rsa(ByteView rsa_public_key_der);
    /// From SubjectPublicKeyInfo DER of any kind. Throws sast::Errc::MalformedKey.
    static PublicKey from_spki(ByteView spki_der);

    /// The RSA modulus, big-endian, without leading zeros; empty for other kinds.
    Bytes modulus() const;
    /// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2) over the parts, one behind the other. False: the signature is not
    /// valid.
    bool verify(Digest digest, std::span<const ByteView> parts, ByteView signature);

  private:
    struct Free {
        void operator()(evp_pkey_st* key) const noexcept;
        void operator()(evp_pkey_ctx_st* context) const noexcept;
    };
    explicit PublicKey(evp_pkey_st* key) : key_(key) {}
    std::unique_ptr<evp_pkey_st, Free> key_;
    std::unique_ptr<evp_pkey_ctx_st, Free> prepared_;
};

}  // namespace ctlsign::sast
