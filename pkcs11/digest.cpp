#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>

#include <pkcs11/digest.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_digest.hpp>
#include <pkcs11/openssl_error.hpp>

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

// Fetched once, for good: EVP_sha1() and its like are looked up again for every digest.
const EVP_MD* openssl_digest(Digest digest) {
    static const std::array<const EVP_MD*, 3> all{EVP_MD_fetch(nullptr, "SHA1", nullptr),
                                                  EVP_MD_fetch(nullptr, "SHA256", nullptr),
                                                  EVP_MD_fetch(nullptr, "SHA512", nullptr)};
    const EVP_MD* md = all.at(static_cast<std::size_t>(digest) - 1);
    if (md == nullptr) fail_openssl("EVP_MD_fetch", to_text(digest));
    return md;
}

// Behind HEAD comes the digest of the parts.
static Bytes append_digest(ByteView head, Digest digest, std::span<const ByteView> parts) {
    const EVP_MD* md = openssl_digest(digest);
    const std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    if (!context) throw std::bad_alloc();
    Bytes value(head.size() + digest_size(digest));
    std::ranges::copy(head, value.begin());
    bool done = EVP_DigestInit_ex(context.get(), md, nullptr) == 1;
    for (const ByteView part : parts) {
        done = done && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    }
    if (!done || EVP_DigestFinal_ex(context.get(), value.data() + head.size(), nullptr) != 1) {
        fail_openssl("EVP_Digest", to_text(digest));
    }
    return value;
}

Bytes compute_digest(Digest digest, std::span<const ByteView> parts) {
    return append_digest({}, digest, parts);
}

// DER of DigestInfo up to the digest (RFC 8017, 9.2, note 1).
static ByteView digest_info_head(Digest digest) {
    static constexpr std::uint8_t kSha1[] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e,
                                             0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14};
    static constexpr std::uint8_t kSha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                               0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    static constexpr std::uint8_t kSha512[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                               0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};
    return digest == Digest::Sha1     ? ByteView(kSha1)
           : digest == Digest::Sha256 ? ByteView(kSha256)
                                      : ByteView(kSha512);
}

Bytes compute_digest_info(Digest digest, std::span<const ByteView> parts) {
    return append_digest(digest_info_head(digest), digest, parts);
}

}  // namespace ctlsign
