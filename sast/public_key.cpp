#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string_view>
#include <utility>

#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>
#include <sast/public_key.hpp>

namespace ctlsign::sast {

void PublicKey::Free::operator()(evp_pkey_st* key) const noexcept {
    EVP_PKEY_free(key);
}

void PublicKey::Free::operator()(evp_pkey_ctx_st* context) const noexcept {
    EVP_PKEY_CTX_free(context);
}

// D2I must have read all of DER; anything behind the key is refused.
template <typename D2i>
static EVP_PKEY* decode_all(ByteView der, std::string_view what, D2i d2i) {
    const unsigned char* at = der.data();
    EVP_PKEY* key = d2i(&at, static_cast<long>(der.size()));
    if (key != nullptr && at != der.data() + der.size()) {
        EVP_PKEY_free(key);
        key = nullptr;
    }
    if (key == nullptr) {
        ERR_clear_error();
        throw Error(Errc::MalformedKey, "reading", what, "the octets are not a key in DER");
    }
    return key;
}

PublicKey PublicKey::from_rsa(ByteView rsa_public_key_der) {
    return PublicKey(decode_all(
        rsa_public_key_der, "an RSA public key",
        [](const unsigned char** at, long size) { return d2i_PublicKey(EVP_PKEY_RSA, nullptr, at, size); }));
}

PublicKey PublicKey::from_spki(ByteView spki_der) {
    return PublicKey(decode_all(spki_der, "a public key", [](const unsigned char** at, long size) {
        return d2i_PUBKEY(nullptr, at, size);
    }));
}

Bytes PublicKey::modulus() const {
    BIGNUM* number = nullptr;
    if (EVP_PKEY_get_bn_param(key_.get(), OSSL_PKEY_PARAM_RSA_N, &number) != 1) {
        ERR_clear_error();
        return {};
    }
    Bytes octets(static_cast<std::size_t>(BN_num_bytes(number)));
    BN_bn2bin(number, octets.data());
    BN_free(number);
    return octets;
}

bool PublicKey::verify(Digest digest, std::span<const ByteView> parts, ByteView signature) {
    if (EVP_PKEY_get_base_id(key_.get()) != EVP_PKEY_RSA) return false;
    if (!prepared_) {
        std::unique_ptr<evp_pkey_ctx_st, Free> context(EVP_PKEY_CTX_new(key_.get(), nullptr));
        if (!context || EVP_PKEY_verify_init(context.get()) != 1)
            fail_openssl("EVP_PKEY_verify_init", "a public key");
        prepared_ = std::move(context);
    }
    // OpenSSL begins with the padding of PKCS#1 v1.5, and without a digest of its own it compares what was
    // padded: one context serves every digest.
    const Bytes padded = compute_digest_info(digest, parts);
    const bool valid = EVP_PKEY_verify(prepared_.get(), signature.data(), signature.size(), padded.data(),
                                       padded.size()) == 1;
    if (!valid) ERR_clear_error();
    return valid;
}

}  // namespace ctlsign::sast
