#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

#include <ctlsign/cluster/sealer.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::size_t kSaltSize = 16, kNonceSize = 12, kTagSize = 16;
constexpr std::uint64_t kCost = std::uint64_t{1} << 16U, kBlock = 8, kParallel = 1;
constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 27U;

using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;

constexpr std::string_view kCipher = "AES-256-GCM";

void require(bool done, std::string_view what) {
    if (!done) fail_openssl(what, "");
}

int size_of(ByteView bytes) {
    return static_cast<int>(bytes.size());
}

}  // namespace

Sealer::Sealer(const pkcs11::Pin& passphrase, ByteView salt) {
    const std::string_view secret = passphrase.reveal_secret();
    require(EVP_PBE_scrypt(secret.data(), secret.size(), salt.data(), salt.size(), kCost, kBlock, kParallel,
                           kMaxMemory, key_.data(), key_.size()) == 1,
            "EVP_PBE_scrypt");
}

Sealer::~Sealer() {
    OPENSSL_cleanse(key_.data(), key_.size());
}

Bytes Sealer::make_salt() {
    Bytes salt(kSaltSize);
    require(RAND_bytes(salt.data(), static_cast<int>(salt.size())) == 1, "RAND_bytes");
    return salt;
}

// Nonce, ciphertext, tag.
Bytes Sealer::seal(std::string_view name, ByteView secret) const {
    Bytes sealed(kNonceSize + secret.size() + kTagSize);
    unsigned char* const body = sealed.data() + kNonceSize;
    const ByteView known = as_bytes(name);
    const Context context(EVP_CIPHER_CTX_new());
    int size = 0;
    require(RAND_bytes(sealed.data(), static_cast<int>(kNonceSize)) == 1, "RAND_bytes");
    require(
        context &&
            EVP_EncryptInit_ex2(context.get(), EVP_aes_256_gcm(), key_.data(), sealed.data(), nullptr) == 1 &&
            EVP_EncryptUpdate(context.get(), nullptr, &size, known.data(), size_of(known)) == 1 &&
            EVP_EncryptUpdate(context.get(), body, &size, secret.data(), size_of(secret)) == 1 &&
            EVP_EncryptFinal_ex(context.get(), body + size, &size) == 1 &&
            EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagSize),
                                body + secret.size()) == 1,
        kCipher);
    return sealed;
}

std::optional<Bytes> Sealer::find_secret(std::string_view name, ByteView sealed) const {
    if (sealed.size() < kNonceSize + kTagSize) return std::nullopt;
    const ByteView body = sealed.subspan(kNonceSize, sealed.size() - kNonceSize - kTagSize);
    const ByteView tag_octets = sealed.last(kTagSize);
    Bytes tag(tag_octets.begin(), tag_octets.end()), secret(body.size());
    const ByteView known = as_bytes(name);
    const Context context(EVP_CIPHER_CTX_new());
    int size = 0;
    require(
        context &&
            EVP_DecryptInit_ex2(context.get(), EVP_aes_256_gcm(), key_.data(), sealed.data(), nullptr) == 1 &&
            EVP_DecryptUpdate(context.get(), nullptr, &size, known.data(), size_of(known)) == 1 &&
            EVP_DecryptUpdate(context.get(), secret.data(), &size, body.data(), size_of(body)) == 1 &&
            EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagSize),
                                tag.data()) == 1,
        kCipher);
    if (EVP_DecryptFinal_ex(context.get(), secret.data() + secret.size(), &size) == 1) return secret;
    ERR_clear_error();
    OPENSSL_cleanse(secret.data(), secret.size());
    return std::nullopt;
}

}  // namespace ctlsign::cluster
