#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <new>
#include <string_view>

#include <sast/error.hpp>
#include <sast/public_key.hpp>

namespace ctlsign::sast {

void PublicKey::Free::operator()(evp_pkey_st* key) const noexcept {
    EVP_PKEY_free(key);
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

unsigned PublicKey::bits() const noexcept {
    return static_cast<unsigned>(EVP_PKEY_get_bits(key_.get()));
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

bool PublicKey::verify(Digest digest, std::span<const ByteView> parts, ByteView signature) const {
    if (EVP_PKEY_get_base_id(key_.get()) != EVP_PKEY_RSA) return false;
    const EVP_MD* md = digest == Digest::Sha1     ? EVP_sha1()
                       : digest == Digest::Sha256 ? EVP_sha256()
                                                  : EVP_sha512();
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    if (!context) throw std::bad_alloc();
    // RSA keys are verified with PKCS#1 v1.5 padding unless told otherwise.
    bool valid = EVP_DigestVerifyInit(context.get(), nullptr, md, nullptr, key_.get()) == 1;
    for (const ByteView part : parts) {
        valid = valid && EVP_DigestVerifyUpdate(context.get(), part.data(), part.size()) == 1;
    }
    valid = valid && EVP_DigestVerifyFinal(context.get(), signature.data(), signature.size()) == 1;
    if (!valid) ERR_clear_error();
    return valid;
}

}  // namespace ctlsign::sast
