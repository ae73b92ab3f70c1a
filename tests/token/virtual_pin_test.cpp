#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/cryptoki.hpp>

// The PIN counter, and the object in which eTokens tell it.
namespace ctlsign::testing {
namespace {

constexpr CK_FLAGS kPinFlags = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
constexpr CK_FLAGS kLow = CKF_USER_PIN_COUNT_LOW, kFinal = kLow | CKF_USER_PIN_FINAL_TRY,
                   kLocked = kLow | CKF_USER_PIN_LOCKED;

// A token without delays that takes three wrong PINs.
softhsm::Profile three_tries(const std::string& more = {}) {
    return softhsm::decode_profile(
        "[pin]\nuser = \"right-pin\"\nsecurity-officer = \"officer-pin\"\ntries = 3\n"
        "minimum-length = 6\nmaximum-length = 20\n" +
            more + "[key]\nsizes = [1024]\nsubject = \"CN={name}\"\n",
        "three-tries");
}

CK_FLAGS pin_flags(const Cryptoki& cryptoki) {
    return cryptoki.info(0).flags & kPinFlags;
}

CK_RV set_pin(const Cryptoki& cryptoki, CK_SESSION_HANDLE session, std::string before, std::string after) {
    return cryptoki->C_SetPIN(session, reinterpret_cast<CK_UTF8CHAR*>(before.data()), before.size(),
                              reinterpret_cast<CK_UTF8CHAR*>(after.data()), after.size());
}

TEST(VirtualPin, CountsDownAndLocks) {
    const VirtualToken token(three_tries());
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    EXPECT_EQ(cryptoki.info(0).ulMinPinLen, 6U);
    EXPECT_EQ(cryptoki.info(0).ulMaxPinLen, 20U);
    EXPECT_EQ(pin_flags(cryptoki), 0U);
    EXPECT_EQ(cryptoki.login(session, "wrong-1"), CKR_PIN_INCORRECT);
    EXPECT_EQ(pin_flags(cryptoki), kLow);
    EXPECT_EQ(cryptoki.login(session, "wrong-2"), CKR_PIN_INCORRECT);
    EXPECT_EQ(pin_flags(cryptoki), kFinal);
    EXPECT_EQ(cryptoki.login(session, "wrong-3"), CKR_PIN_INCORRECT);
    EXPECT_EQ(pin_flags(cryptoki), kLocked);
    EXPECT_EQ(cryptoki.login(session, token.pin()), CKR_PIN_LOCKED);
    EXPECT_EQ(cryptoki.login(session, "wrong-4"), CKR_PIN_LOCKED);
}

TEST(VirtualPin, ASuccessResetsIt) {
    const VirtualToken token(three_tries());
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    EXPECT_EQ(cryptoki.login(session, "wrong-1"), CKR_PIN_INCORRECT);
    EXPECT_EQ(cryptoki.login(session, "wrong-2"), CKR_PIN_INCORRECT);
    EXPECT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
    EXPECT_EQ(pin_flags(cryptoki), 0U);
    // No PIN is looked at here, so no try is spent and none is given back.
    EXPECT_EQ(cryptoki.login(session, "wrong-3"), CKR_USER_ALREADY_LOGGED_IN);
    EXPECT_EQ(pin_flags(cryptoki), 0U);
}

TEST(VirtualPin, SurvivesPullsAndProcesses) {
    VirtualToken token(three_tries());
    const pid_t child = fork();
    if (child == 0) {
        const Cryptoki cryptoki(VirtualToken::module());
        _exit(cryptoki.login(cryptoki.open(0), "wrong-1") == CKR_PIN_INCORRECT ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_EQ(pin_flags(cryptoki), kLow);
    EXPECT_EQ(cryptoki.login(cryptoki.open(0), "wrong-2"), CKR_PIN_INCORRECT);
    token.unplug();
    token.plug();
    EXPECT_EQ(pin_flags(cryptoki), kFinal);
}

TEST(VirtualPin, ChangingThePinIsALoginToo) {
    const VirtualToken token(three_tries());
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0, CKF_RW_SESSION);
    EXPECT_EQ(set_pin(cryptoki, session, token.pin(), "short"), CKR_PIN_LEN_RANGE);
    EXPECT_EQ(set_pin(cryptoki, session, token.pin(), std::string(21, 'x')), CKR_PIN_LEN_RANGE);
    EXPECT_EQ(pin_flags(cryptoki), 0U);
    EXPECT_EQ(set_pin(cryptoki, session, "wrong-1", "another-pin"), CKR_PIN_INCORRECT);
    EXPECT_EQ(set_pin(cryptoki, session, "wrong-2", "another-pin"), CKR_PIN_INCORRECT);
    EXPECT_EQ(pin_flags(cryptoki), kFinal);
    EXPECT_EQ(set_pin(cryptoki, session, token.pin(), "another-pin"), CKR_OK);
    EXPECT_EQ(pin_flags(cryptoki), 0U);
    EXPECT_EQ(cryptoki.login(session, "another-pin"), CKR_OK);
}

TEST(VirtualPin, TheSecurityOfficerUnlocks) {
    const VirtualToken token(three_tries());
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0, CKF_RW_SESSION);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(cryptoki.login(session, "wrong-pin"), CKR_PIN_INCORRECT);
    EXPECT_EQ(pin_flags(cryptoki), kLocked);
    EXPECT_EQ(cryptoki.login(session, "wrong-so-pin", CKU_SO), CKR_PIN_INCORRECT);
    ASSERT_EQ(cryptoki.login(session, token.security_officer_pin(), CKU_SO), CKR_OK);
    EXPECT_EQ(set_pin(cryptoki, session, "wrong-so-pin", "another-so-pin"), CKR_PIN_INCORRECT);
    EXPECT_EQ(pin_flags(cryptoki), kLocked);
    std::string fresh = "fresh-pin", tiny = "tiny";
    EXPECT_EQ(cryptoki->C_InitPIN(session, reinterpret_cast<CK_UTF8CHAR*>(tiny.data()), tiny.size()),
              CKR_PIN_LEN_RANGE);
    ASSERT_EQ(cryptoki->C_InitPIN(session, reinterpret_cast<CK_UTF8CHAR*>(fresh.data()), fresh.size()),
              CKR_OK);
    EXPECT_EQ(pin_flags(cryptoki), 0U);
    ASSERT_EQ(cryptoki->C_Logout(session), CKR_OK);
    EXPECT_EQ(cryptoki.login(session, fresh), CKR_OK);
}

TEST(VirtualPin, InitialisingTheTokenResetsIt) {
    const VirtualToken token(three_tries());
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    for (int i = 0; i < 3; ++i) cryptoki.login(session, "wrong-pin");
    ASSERT_EQ(cryptoki->C_CloseSession(session), CKR_OK);
    std::string pin = token.security_officer_pin(), label(32, ' ');
    label.replace(0, 5, "fresh");
    ASSERT_EQ(cryptoki->C_InitToken(0, reinterpret_cast<CK_UTF8CHAR*>(pin.data()), pin.size(),
                                    reinterpret_cast<CK_UTF8CHAR*>(label.data())),
              CKR_OK);
    const CK_TOKEN_INFO info = cryptoki.info(0);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(info.label), 5), "fresh");
    EXPECT_EQ(info.flags & kPinFlags, 0U);
}

TEST(VirtualPin, ALoginForOneOperationCounts) {
    const VirtualToken token(
        softhsm::decode_profile(three_tries().text + "always-authenticate = true\n", "cc"));
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    ASSERT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
    ASSERT_EQ(cryptoki.sign_init(session, CKM_SHA256_RSA_PKCS, cryptoki.find(session, CKO_PRIVATE_KEY).at(0)),
              CKR_OK);
    EXPECT_EQ(cryptoki.login(session, "wrong-1", CKU_CONTEXT_SPECIFIC), CKR_PIN_INCORRECT);
    EXPECT_EQ(pin_flags(cryptoki), kLow);
}

TEST(VirtualPin, WithoutTriesItNeverLocks) {
    const VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(cryptoki.login(session, "wrong-pin"), CKR_PIN_INCORRECT);
    EXPECT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
    EXPECT_FALSE(std::filesystem::exists(token.folder() / "pin-tries"));
}

class VirtualCounterObject : public ::testing::Test {
  protected:
    CK_ULONG read(CK_ATTRIBUTE_TYPE type) {
        const Bytes value = cryptoki.get(session, counter.at(0), type);
        CK_ULONG number = 0;
        EXPECT_EQ(value.size(), sizeof number);
        std::memcpy(&number, value.data(), sizeof number);
        return number;
    }
    std::vector<CK_OBJECT_HANDLE> find(std::vector<std::pair<CK_ATTRIBUTE_TYPE, CK_ULONG>> wanted) {
        std::vector<CK_ATTRIBUTE> attributes;
        for (auto& [type, value] : wanted) attributes.push_back({type, &value, sizeof value});
        Cryptoki::must(cryptoki->C_FindObjectsInit(session, attributes.data(), attributes.size()),
                       "C_FindObjectsInit");
        std::vector<CK_OBJECT_HANDLE> objects(16);
        CK_ULONG count = 0;
        Cryptoki::must(cryptoki->C_FindObjects(session, objects.data(), objects.size(), &count),
                       "C_FindObjects");
        Cryptoki::must(cryptoki->C_FindObjectsFinal(session), "C_FindObjectsFinal");
        objects.resize(count);
        return objects;
    }

    VirtualToken token{three_tries("vendor-counter = true\n")};
    Cryptoki cryptoki{VirtualToken::module()};
    CK_SESSION_HANDLE session = cryptoki.open(0);
    std::vector<CK_OBJECT_HANDLE> counter =
        find({{CKA_CLASS, CKO_HW_FEATURE}, {CKA_HW_FEATURE_TYPE, 0x80005002}});
};

TEST_F(VirtualCounterObject, TellsTheTries) {
    ASSERT_EQ(counter.size(), 1U);
    EXPECT_EQ(read(0x80001110), 3U);
    EXPECT_EQ(read(0x80001112), 3U);
    EXPECT_EQ(read(CKA_HW_FEATURE_TYPE), 0x80005002U);
    EXPECT_EQ(cryptoki.login(session, "wrong-1"), CKR_PIN_INCORRECT);
    EXPECT_EQ(read(0x80001110), 2U);
    EXPECT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
    EXPECT_EQ(read(0x80001110), 3U);
}

TEST_F(VirtualCounterObject, IsFoundByItsClassOnly) {
    EXPECT_EQ(find({{CKA_CLASS, CKO_HW_FEATURE}}).size(), 1U);
    EXPECT_TRUE(find({{CKA_CLASS, CKO_HW_FEATURE}, {CKA_HW_FEATURE_TYPE, CKH_CLOCK}}).empty());
    EXPECT_TRUE(find({{CKA_CLASS, CKO_HW_FEATURE}, {CKA_KEY_TYPE, CKK_RSA}}).empty());
    EXPECT_EQ(find({}).size(), 2U) << "the public key and the certificate";
}

TEST_F(VirtualCounterObject, AnswersAsAnyObject) {
    CK_ULONG left = 0, other = 0;
    std::uint8_t small = 0;
    CK_ATTRIBUTE attributes[] = {{0x80001110, &left, sizeof left}, {CKA_LABEL, &other, sizeof other}};
    EXPECT_EQ(cryptoki->C_GetAttributeValue(session, counter[0], attributes, 2), CKR_ATTRIBUTE_TYPE_INVALID);
    EXPECT_EQ(left, 3U);
    EXPECT_EQ(attributes[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    CK_ATTRIBUTE short_one{0x80001110, &small, sizeof small};
    EXPECT_EQ(cryptoki->C_GetAttributeValue(session, counter[0], &short_one, 1), CKR_BUFFER_TOO_SMALL);
}

TEST(VirtualCounter, IsNotThereWithoutTheSwitch) {
    const VirtualToken token(three_tries());
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_TRUE(cryptoki.find(cryptoki.open(0), CKO_HW_FEATURE).empty());
}

}  // namespace
}  // namespace ctlsign::testing
