#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>
#include <string>

#include <pkcs11/free_with.hpp>
#include <sast/clear_key.hpp>

namespace ctlsign::sast {
namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free>>;

std::string to_pem(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PKCS8PrivateKey(out.get(), key, cipher, "secret", 6, nullptr, nullptr);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

TEST(ClearKey, IsOfAnyAlgorithmAndAnywhereInTheText) {
    const KeyPtr curve(EVP_EC_gen("P-256")), rsa(EVP_RSA_gen(1024));
    for (EVP_PKEY* key : {curve.get(), rsa.get()}) {
        const auto read = decode_clear_key("before it\n" + to_pem(key) + to_pem(rsa.get()));
        EXPECT_EQ(EVP_PKEY_eq(read.get(), key), 1);
    }
}

TEST(ClearKey, OneThatIsEncryptedIsLeftAndNobodyIsAsked) {
    const KeyPtr key(EVP_EC_gen("P-256"));
    EXPECT_EQ(decode_clear_key(to_pem(key.get(), EVP_aes_128_cbc())), nullptr);
    EXPECT_EQ(decode_clear_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), nullptr);
    EXPECT_EQ(decode_clear_key("no key"), nullptr);
    EXPECT_EQ(decode_clear_key(""), nullptr);
}

}  // namespace
}  // namespace ctlsign::sast
