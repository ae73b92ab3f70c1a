#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/virtual_signing.hpp>

// Every switch of a profile, as a program meets it.
namespace ctlsign::testing {
namespace {

using ::testing::ElementsAre;

struct Sections {
    std::string token = {}, pin = {}, key = {}, behaviour = {};
};
softhsm::Profile profile(const Sections& more) {
    return softhsm::decode_profile("[token]\n" + more.token +
                                       "[pin]\nuser = \"right-pin\"\nsecurity-officer = \"officer-pin\"\n" +
                                       more.pin + "[key]\nsizes = [1024, 2048]\nsubject = \"CN={name}\"\n" +
                                       more.key + "[behaviour]\n" + more.behaviour,
                                   "switches");
}

std::string text_of(const CK_UTF8CHAR* field, std::size_t size) {
    std::string text(reinterpret_cast<const char*>(field), size);
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

// A session with the user logged in, and the private key.
struct Opened {
    explicit Opened(const VirtualToken& token) : session(cryptoki.open(0)) {
        Cryptoki::must(cryptoki.login(session, token.pin()), "C_Login");
        key = cryptoki.find(session, CKO_PRIVATE_KEY).at(0);
    }
    CK_RV sign(CK_SESSION_HANDLE in) const {
        Bytes message(20), signature(256);
        CK_ULONG size = signature.size();
        return cryptoki->C_Sign(in, message.data(), message.size(), signature.data(), &size);
    }
    Cryptoki cryptoki{VirtualToken::module()};
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key = 0;
};

TEST(VirtualProfile, WhoItIs) {
    const VirtualToken token(profile({.token = "label = \"The Label\"\nmanufacturer = \"The Manufacturer\"\n"
                                               "model = \"The Model\"\nserial = \"0815\"\nslots = 3\n"
                                               "cryptoki-version = \"2.11\"\nremovable = false\n"}));
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_TOKEN_INFO info = cryptoki.info(0);
    EXPECT_EQ(text_of(info.label, sizeof info.label), "The Label");
    EXPECT_EQ(text_of(info.manufacturerID, sizeof info.manufacturerID), "The Manufacturer");
    EXPECT_EQ(text_of(info.model, sizeof info.model), "The Model");
    EXPECT_EQ(text_of(info.serialNumber, sizeof info.serialNumber), "0815");
    EXPECT_EQ(token.serial(), "0815");
    CK_INFO library{};
    ASSERT_EQ(cryptoki->C_GetInfo(&library), CKR_OK);
    EXPECT_EQ(library.cryptokiVersion.major, 2);
    EXPECT_EQ(library.cryptokiVersion.minor, 11);
    CK_ULONG slots = 0;
    ASSERT_EQ(cryptoki->C_GetSlotList(CK_FALSE, nullptr, &slots), CKR_OK);
    EXPECT_EQ(slots, 3U);
    CK_SLOT_INFO slot{};
    ASSERT_EQ(cryptoki->C_GetSlotInfo(0, &slot), CKR_OK);
    EXPECT_EQ(slot.flags, CK_FLAGS{CKF_TOKEN_PRESENT});
}

TEST(VirtualProfile, WithoutLogin) {
    const VirtualToken token(profile({.pin = "login-required = false\n"}));
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_EQ(cryptoki.info(0).flags & CKF_LOGIN_REQUIRED, 0U);
    const CK_SESSION_HANDLE session = cryptoki.open(0), second = cryptoki.open(0);
    const auto key = cryptoki.find(session, CKO_PRIVATE_KEY).at(0);
    EXPECT_TRUE(verifies(token, sign_digest_info(cryptoki, session, key, token)));
    EXPECT_TRUE(verifies(token, sign_digest_info(cryptoki, second, key, token)));
}

TEST(VirtualProfile, MechanismsAndKeySizes) {
    const VirtualToken token(
        profile({.key = "mechanisms = [\"CKM_RSA_PKCS_KEY_PAIR_GEN\", \"CKM_RSA_PKCS\", \"CKM_SHA_1\"]\n"}));
    const Opened opened(token);
    const Cryptoki& cryptoki = opened.cryptoki;
    CK_ULONG count = 0;
    ASSERT_EQ(cryptoki->C_GetMechanismList(0, nullptr, &count), CKR_OK);
    std::vector<CK_MECHANISM_TYPE> types(count);
    ASSERT_EQ(cryptoki->C_GetMechanismList(0, types.data(), &count), CKR_OK);
    EXPECT_THAT(types, ::testing::UnorderedElementsAre(CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_PKCS, CKM_SHA_1));
    count = 2;
    EXPECT_EQ(cryptoki->C_GetMechanismList(0, types.data(), &count), CKR_BUFFER_TOO_SMALL);
    CK_MECHANISM_INFO info{};
    ASSERT_EQ(cryptoki->C_GetMechanismInfo(0, CKM_RSA_PKCS, &info), CKR_OK);
    EXPECT_EQ(info.ulMinKeySize, 1024U);
    EXPECT_EQ(info.ulMaxKeySize, 2048U);
    EXPECT_EQ(cryptoki->C_GetMechanismInfo(0, CKM_SHA256_RSA_PKCS, &info), CKR_MECHANISM_INVALID);

    EXPECT_EQ(cryptoki.sign_init(opened.session, CKM_SHA256_RSA_PKCS, opened.key), CKR_MECHANISM_INVALID);
    EXPECT_EQ(cryptoki.sign_init(opened.session, CKM_RSA_PKCS, opened.key), CKR_OK);
    CK_MECHANISM sha256{CKM_SHA256, nullptr, 0}, sha1{CKM_SHA_1, nullptr, 0};
    EXPECT_EQ(cryptoki->C_DigestInit(opened.session, &sha256), CKR_MECHANISM_INVALID);
    const CK_SESSION_HANDLE other = cryptoki.open(0);
    EXPECT_EQ(cryptoki->C_DigestInit(other, &sha1), CKR_OK);
}

CK_RV generate(const Opened& opened, CK_ULONG bits, CK_OBJECT_HANDLE& private_key) {
    std::uint8_t exponent[] = {1, 0, 1};
    CK_ATTRIBUTE public_attributes[] = {{CKA_MODULUS_BITS, &bits, sizeof bits},
                                        {CKA_PUBLIC_EXPONENT, exponent, sizeof exponent}};
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE private_attributes[] = {{CKA_SIGN, &yes, sizeof yes}};
    CK_MECHANISM mechanism{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
    CK_OBJECT_HANDLE public_key = 0;
    const CK_SESSION_HANDLE session = opened.cryptoki.open(0, CKF_RW_SESSION);
    return opened.cryptoki->C_GenerateKeyPair(session, &mechanism, public_attributes, 2, private_attributes,
                                              1, &public_key, &private_key);
}

TEST(VirtualProfile, KeysThatAreMadeLater) {
    const VirtualToken token(
        profile({.key = "mechanisms = [\"CKM_RSA_PKCS_KEY_PAIR_GEN\", \"CKM_RSA_PKCS\"]\n"
                        "always-authenticate = true\n"}));
    const Opened opened(token);
    CK_OBJECT_HANDLE key = 0;
    EXPECT_EQ(generate(opened, 1536, key), CKR_KEY_SIZE_RANGE);
    ASSERT_EQ(generate(opened, 1024, key), CKR_OK);
    EXPECT_THAT(opened.cryptoki.get(opened.session, key, CKA_ALWAYS_AUTHENTICATE), ElementsAre(CK_TRUE));
    EXPECT_THAT(opened.cryptoki.get(opened.session, key, CKA_SIGN), ElementsAre(CK_TRUE));
}

TEST(VirtualProfile, EachSignatureNeedsThePin) {
    const VirtualToken token(profile({.key = "always-authenticate = true\n"}));
    const Opened opened(token);
    ASSERT_EQ(opened.cryptoki.sign_init(opened.session, CKM_RSA_PKCS, opened.key), CKR_OK);
    EXPECT_EQ(opened.sign(opened.session), CKR_USER_NOT_LOGGED_IN);
    const CK_SESSION_HANDLE session = opened.cryptoki.open(0);
    EXPECT_TRUE(verifies(token, sign_digest_info(opened.cryptoki, session, opened.key, token)));
}

TEST(VirtualProfile, CertificatesHideUntilLogin) {
    const VirtualToken token(profile({.behaviour = "certificates-hidden = true\n"}));
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    EXPECT_TRUE(cryptoki.find(session, CKO_CERTIFICATE).empty());
    ASSERT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
    EXPECT_EQ(cryptoki.find(session, CKO_CERTIFICATE).size(), 1U);
}

TEST(VirtualProfile, SettlesAfterAPlug) {
    VirtualToken token(profile({.behaviour = "settle-milliseconds = 3600000\n"}));
    {
        const Cryptoki cryptoki(VirtualToken::module());
        const CK_SESSION_HANDLE session = cryptoki.open(0);
        ASSERT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
        EXPECT_TRUE(cryptoki.find(session, CKO_PRIVATE_KEY).empty());
    }
    VirtualToken quick(profile({.behaviour = "settle-milliseconds = 50\n"}));
    quick.settle();
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_EQ(cryptoki.find(cryptoki.open(1), CKO_CERTIFICATE).size(), 1U);
}

TEST(VirtualProfile, IsBusyAfterTheLastSession) {
    const VirtualToken token(profile({.behaviour = "busy-after-close-milliseconds = 3600000\n"}));
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE first = cryptoki.open(0), second = cryptoki.open(0);
    ASSERT_EQ(cryptoki->C_CloseSession(first), CKR_OK);
    const CK_SESSION_HANDLE third = cryptoki.open(0);
    ASSERT_EQ(cryptoki->C_CloseSession(second), CKR_OK);
    ASSERT_EQ(cryptoki->C_CloseSession(third), CKR_OK);
    CK_SESSION_HANDLE fourth = 0;
    EXPECT_EQ(cryptoki->C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &fourth), CKR_SESSION_COUNT);
}

TEST(VirtualProfile, IsBusyAfterAllSessionsTogether) {
    const VirtualToken token(profile({.behaviour = "busy-after-close-milliseconds = 3600000\n"}));
    const Cryptoki cryptoki(VirtualToken::module());
    cryptoki.open(0);
    cryptoki.open(0);
    ASSERT_EQ(cryptoki->C_CloseAllSessions(0), CKR_OK);
    CK_SESSION_HANDLE session = 0;
    EXPECT_EQ(cryptoki->C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &session), CKR_SESSION_COUNT);
}

TEST(VirtualProfile, OneOperationAtATime) {
    const VirtualToken token(profile({.behaviour = "one-operation-at-a-time = true\n"}));
    const Opened opened(token);
    const Cryptoki& cryptoki = opened.cryptoki;
    const CK_SESSION_HANDLE other = cryptoki.open(0);
    ASSERT_EQ(cryptoki.sign_init(opened.session, CKM_RSA_PKCS, opened.key), CKR_OK);
    EXPECT_EQ(cryptoki.sign_init(other, CKM_RSA_PKCS, opened.key), CKR_FUNCTION_CANCELED);
    EXPECT_EQ(cryptoki.sign_init(opened.session, CKM_RSA_PKCS, opened.key), CKR_OPERATION_ACTIVE);
    EXPECT_EQ(cryptoki.sign_init(other, CKM_RSA_PKCS, opened.key), CKR_FUNCTION_CANCELED);
    Bytes message(20);
    CK_ULONG size = 0;
    EXPECT_EQ(cryptoki->C_Sign(opened.session, message.data(), message.size(), nullptr, &size), CKR_OK);
    EXPECT_EQ(cryptoki.sign_init(other, CKM_RSA_PKCS, opened.key), CKR_FUNCTION_CANCELED);
    EXPECT_EQ(opened.sign(opened.session), CKR_OK);
    // Free again after a signature, after an operation that did not begin, and after its session.
    EXPECT_EQ(cryptoki.sign_init(other, CKM_AES_CBC, opened.key), CKR_MECHANISM_INVALID);
    ASSERT_EQ(cryptoki.sign_init(opened.session, CKM_RSA_PKCS, opened.key), CKR_OK);
    ASSERT_EQ(cryptoki->C_CloseSession(opened.session), CKR_OK);
    ASSERT_EQ(cryptoki.sign_init(other, CKM_RSA_PKCS, opened.key), CKR_OK);
    EXPECT_EQ(opened.sign(other), CKR_OK);
}

TEST(VirtualProfile, OneOperationAtATimeAmongProcesses) {
    const VirtualToken token(profile({.behaviour = "one-operation-at-a-time = true\n"}));
    const Opened opened(token);
    ASSERT_EQ(opened.cryptoki.sign_init(opened.session, CKM_RSA_PKCS, opened.key), CKR_OK);
    const auto in_child = [&] {
        const pid_t child = fork();
        if (child == 0) {
            const Opened mine(token);
            const CK_RV rv = mine.cryptoki.sign_init(mine.session, CKM_RSA_PKCS, mine.key);
            _exit(rv == CKR_OK ? 0 : rv == CKR_FUNCTION_CANCELED ? 1 : 2);
        }
        int status = -1;
        waitpid(child, &status, 0);
        return WEXITSTATUS(status);
    };
    EXPECT_EQ(in_child(), 1);
    EXPECT_EQ(opened.sign(opened.session), CKR_OK);
    EXPECT_EQ(in_child(), 0);
}

TEST(VirtualProfile, NoSignFinal) {
    const VirtualToken token(profile({.behaviour = "no-sign-final = true\n"}));
    const Opened opened(token);
    ASSERT_EQ(opened.cryptoki.sign_init(opened.session, CKM_SHA256_RSA_PKCS, opened.key), CKR_OK);
    Bytes part(10), signature(256);
    CK_ULONG size = signature.size();
    EXPECT_EQ(opened.cryptoki->C_SignUpdate(opened.session, part.data(), part.size()), CKR_OK);
    EXPECT_EQ(opened.cryptoki->C_SignFinal(opened.session, signature.data(), &size),
              CKR_FUNCTION_NOT_SUPPORTED);
}

TEST(VirtualProfile, NoCombinedSha1) {
    const VirtualToken token(profile({.behaviour = "no-combined-sha1 = true\n"}));
    const Opened opened(token);
    EXPECT_EQ(opened.cryptoki.sign_init(opened.session, CKM_SHA1_RSA_PKCS, opened.key), CKR_ARGUMENTS_BAD);
    EXPECT_EQ(opened.cryptoki.sign_init(opened.session, CKM_SHA256_RSA_PKCS, opened.key), CKR_OK);
}

TEST(VirtualProfile, SpuriousFirstEvent) {
    const VirtualToken token(profile({.behaviour = "spurious-first-event = true\n"}));
    const Cryptoki cryptoki(VirtualToken::module());
    CK_SLOT_ID slot = 7;
    EXPECT_EQ(cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr), CKR_OK);
    EXPECT_EQ(slot, 0U);
    EXPECT_EQ(cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr), CKR_NO_EVENT);
}

TEST(VirtualProfile, LatencyOfEachSignature) {
    const VirtualToken token(profile({.behaviour = "latency-milliseconds = 120\n"}));
    const Opened opened(token);
    ASSERT_EQ(opened.cryptoki.sign_init(opened.session, CKM_RSA_PKCS, opened.key), CKR_OK);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(opened.sign(opened.session), CKR_OK);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(120));
}

}  // namespace
}  // namespace ctlsign::testing
