#include <openssl/evp.h>

#include <memory>
#include <new>
#include <stdexcept>

#include <pkcs11/digest.hpp>

namespace ctlsign {

std::string_view to_text(Digest digest) noexcept {
    switch (digest) {
        case Digest::Sha1:
            return "SHA-1";
        case Digest::Sha256:
            return "SHA-256";
        case Digest::Sha512:
            return "SHA-512";
    }
    return "unknown digest";
}

std::optional<Digest> find_digest(std::string_view text) noexcept {
    if (text == "sha1" || text == "SHA-1" || text == "SHA1") return Digest::Sha1;
    if (text == "sha256" || text == "SHA-256" || text == "SHA256") return Digest::Sha256;
    if (text == "sha512" || text == "SHA-512" || text == "SHA512") return Digest::Sha512;
    return std::nullopt;
}

std::size_t digest_size(Digest digest) noexcept {
    return digest == Digest::Sha1 ? 20 : digest == Digest::Sha256 ? 32 : 64;
}

Bytes compute_digest(Digest digest, std::span<const ByteView> parts) {
    const EVP_MD* md = digest == Digest::Sha1     ? EVP_sha1()
                       : digest == Digest::Sha256 ? EVP_sha256()
                                                  : EVP_sha512();
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    if (!context) throw std::bad_alloc();
    Bytes value(digest_size(digest));
    bool done = EVP_DigestInit_ex(context.get(), md, nullptr) == 1;
    for (const ByteView part : parts) {
        done = done && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    }
    if (!done || EVP_DigestFinal_ex(context.get(), value.data(), nullptr) != 1) {
        throw std::runtime_error("OpenSSL refuses to compute " + std::string(to_text(digest)));
    }
    return value;
}

}  // namespace ctlsign
