#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <atomic>
#include <memory>
#include <thread>

#include <bindings/openssl/signer_key.hpp>
#include <sast/error.hpp>
#include <sast/identity.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/counting_pins.hpp>

// OpenSSL's view of a key that TokenSigner keeps alive.
namespace ctlsign::openssl {
namespace {

using testing::CountingPins;
using testing::VirtualToken;

enum class Padding { Pkcs1, Pss };

class SignerKey : public ::testing::Test {
  protected:
    void use(const std::string& profile) {
        token_.emplace(profile, "A");
        auto module = pkcs11::Module::open(VirtualToken::module());
        module_ = module;
        token_->settle();
        auto pins = std::make_unique<CountingPins>(token_->pin());
        pins_ = pins.get();
        auto signer = std::make_unique<sast::TokenSigner>(
            sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt), *pins);
        certificate_ = signer->facts().certificate;
        key_ = make_key(std::move(signer), std::move(pins));
    }
    std::optional<Bytes> find_signature(Padding padding = Padding::Pkcs1) const {
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                              &EVP_MD_CTX_free);
        EVP_PKEY_CTX* terms = nullptr;
        std::size_t size = 512;
        Bytes signature(size);
        if (EVP_DigestSignInit(context.get(), &terms, EVP_sha256(), nullptr, key_.get()) != 1 ||
            EVP_PKEY_CTX_set_rsa_padding(terms, to_native(padding)) != 1 ||
            EVP_DigestSign(context.get(), signature.data(), &size, message().data(), message().size()) != 1)
            return std::nullopt;
        signature.resize(size);
        return signature;
    }
    bool fits(const std::optional<Bytes>& signature, Padding padding = Padding::Pkcs1) const {
        const ByteView spki = certificate_.spki_der();
        const unsigned char* at = spki.data();
        const KeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                              &EVP_MD_CTX_free);
        EVP_PKEY_CTX* terms = nullptr;
        return signature &&
               EVP_DigestVerifyInit(context.get(), &terms, EVP_sha256(), nullptr, key.get()) == 1 &&
               EVP_PKEY_CTX_set_rsa_padding(terms, to_native(padding)) == 1 &&
               EVP_DigestVerify(context.get(), signature->data(), signature->size(), message().data(),
                                message().size()) == 1;
    }
    /// Everything that OpenSSL queued.
    static std::string take_errors() {
        std::string errors;
        const char* text = nullptr;
        int flags = 0;
        while (ERR_get_error_all(nullptr, nullptr, nullptr, &text, &flags) != 0)
            if ((flags & ERR_TXT_STRING) != 0) errors.append(text).append("\n");
        return errors;
    }
    static ByteView message() { return as_bytes("a handshake"); }
    static int to_native(Padding padding) {
        return padding == Padding::Pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
    }

    std::optional<VirtualToken> token_;
    std::weak_ptr<pkcs11::Module> module_;
    sast::Certificate certificate_;
    CountingPins* pins_ = nullptr;  ///< the key's
    KeyPtr key_;
};

TEST_F(SignerKey, SignsInBothWaysWhereTheTokenTakesABlock) {
    use("plain-softhsm");
    for (const Padding padding : {Padding::Pkcs1, Padding::Pss})
        EXPECT_TRUE(fits(find_signature(padding), padding));
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(SignerKey, SaysWhatTheTokenDoesNotTake) {
    use("publisher-hsm");
    EXPECT_TRUE(fits(find_signature()));
    EXPECT_EQ(find_signature(Padding::Pss), std::nullopt);
    EXPECT_THAT(take_errors(), ::testing::HasSubstr("CKM_RSA_X_509"));
    EXPECT_TRUE(fits(find_signature()));
}

TEST_F(SignerKey, SurvivesAPull) {
    use("publisher-hsm");
    EXPECT_TRUE(fits(find_signature()));
    token_->unplug();
    EXPECT_EQ(find_signature(), std::nullopt);
    EXPECT_THAT(take_errors(), ::testing::HasSubstr("token A (serial " + token_->serial()));
    token_->plug();
    EXPECT_TRUE(fits(find_signature()));
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(SignerKey, AWrongSignatureDoesNotLeave) {
    use("publisher-hsm");
    token_->fault("on C_Sign corrupt");
    EXPECT_EQ(find_signature(), std::nullopt);
    EXPECT_THAT(take_errors(), ::testing::HasSubstr("token A (serial "));
    EXPECT_TRUE(fits(find_signature()));
}

TEST_F(SignerKey, ServesThreadsThatShareIt) {
    use("publisher-hsm");
    std::atomic<int> good = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&] {
                for (int j = 0; j < 20; ++j) good += fits(find_signature()) ? 1 : 0;
            });
        }
    }
    EXPECT_EQ(good, 60);
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(SignerKey, GoesWithItsLastHolder) {
    use("publisher-hsm");
    ASSERT_EQ(EVP_PKEY_up_ref(key_.get()), 1);
    KeyPtr other(key_.get());
    key_.reset();
    EXPECT_FALSE(module_.expired());
    key_ = std::move(other);
    EXPECT_TRUE(fits(find_signature()));
    key_.reset();
    EXPECT_TRUE(module_.expired());
}

}  // namespace
}  // namespace ctlsign::openssl
