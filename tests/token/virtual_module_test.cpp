#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include <sast/certificate.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/virtual_signing.hpp>

// Virtual tokens through the bare function list: readers, plugs, sessions, events.
namespace ctlsign::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::ElementsAre;

CK_RV token_info(const Cryptoki& cryptoki, CK_SLOT_ID slot) {
    CK_TOKEN_INFO info{};
    return cryptoki->C_GetTokenInfo(slot, &info);
}

std::vector<CK_SLOT_ID> list_slots(const Cryptoki& cryptoki, CK_BBOOL with_token) {
    CK_ULONG count = 0;
    Cryptoki::must(cryptoki->C_GetSlotList(with_token, nullptr, &count), "C_GetSlotList");
    std::vector<CK_SLOT_ID> slots(count);
    Cryptoki::must(cryptoki->C_GetSlotList(with_token, slots.data(), &count), "C_GetSlotList");
    return slots;
}

std::vector<CK_SLOT_ID> list_again(const Cryptoki& cryptoki, CK_BBOOL with_token) {
    std::vector<CK_SLOT_ID> slots(64);
    CK_ULONG count = slots.size();
    Cryptoki::must(cryptoki->C_GetSlotList(with_token, slots.data(), &count), "C_GetSlotList");
    slots.resize(count);
    return slots;
}

TEST(VirtualModule, ListsWhatIsPluggedIn) {
    const VirtualToken a("plain-softhsm", "A"), b("plain-softhsm", "B");
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_THAT(list_slots(cryptoki, CK_TRUE), ElementsAre(0, 1));
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(cryptoki.info(1).label), 2), "B ");
    CK_INFO info{};
    ASSERT_EQ(cryptoki->C_GetInfo(&info), CKR_OK);
    EXPECT_EQ(info.cryptokiVersion.minor, 40);
    CK_SLOT_INFO slot{};
    ASSERT_EQ(cryptoki->C_GetSlotInfo(0, &slot), CKR_OK);
    EXPECT_EQ(slot.flags, CK_FLAGS{CKF_TOKEN_PRESENT | CKF_REMOVABLE_DEVICE});
}

TEST(VirtualModule, NeedsAFolder) {
    unsetenv("CTLSIGN_VIRTUAL_TOKENS");
    std::string module;
    {
        const VirtualToken token("plain-softhsm");
        module = VirtualToken::module();
    }
    EXPECT_THROW(Cryptoki cryptoki(module), std::runtime_error);
}

TEST(VirtualModule, IsInitialisedOnce) {
    const VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_EQ(cryptoki->C_Initialize(nullptr), CKR_CRYPTOKI_ALREADY_INITIALIZED);
    int reserved = 0;
    EXPECT_EQ(cryptoki->C_Finalize(&reserved), CKR_ARGUMENTS_BAD);
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    ASSERT_EQ(cryptoki->C_Finalize(nullptr), CKR_OK);
    EXPECT_EQ(cryptoki->C_Finalize(nullptr), CKR_CRYPTOKI_NOT_INITIALIZED);
    EXPECT_EQ(cryptoki->C_CloseSession(session), CKR_CRYPTOKI_NOT_INITIALIZED);
    EXPECT_EQ(token_info(cryptoki, 0), CKR_CRYPTOKI_NOT_INITIALIZED);
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.pReserved = &reserved;
    EXPECT_EQ(cryptoki->C_Initialize(&arguments), CKR_ARGUMENTS_BAD);
    ASSERT_EQ(cryptoki->C_Initialize(nullptr), CKR_OK);
    EXPECT_EQ(cryptoki->C_CloseSession(session), CKR_SESSION_HANDLE_INVALID);
    EXPECT_EQ(token_info(cryptoki, 0), CKR_OK);
}

TEST(VirtualModule, LeavesTheEnvironmentAsItWas) {
    const VirtualToken token("plain-softhsm");
    setenv("SOFTHSM2_CONF", "/somebody/else's", 1);
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_EQ(token_info(cryptoki, 0), CKR_OK);
    EXPECT_STREQ(getenv("SOFTHSM2_CONF"), "/somebody/else's");
}

TEST(VirtualModule, APulledTokenIsGoneAtOnce) {
    VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    token.unplug();
    EXPECT_EQ(token_info(cryptoki, 0), CKR_TOKEN_NOT_PRESENT);
    CK_SESSION_HANDLE other = 0;
    EXPECT_EQ(cryptoki->C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &other),
              CKR_TOKEN_NOT_PRESENT);
    CK_ULONG count = 0;
    EXPECT_EQ(cryptoki->C_GetMechanismList(0, nullptr, &count), CKR_TOKEN_NOT_PRESENT);
    CK_SESSION_INFO info{};
    EXPECT_EQ(cryptoki->C_GetSessionInfo(session, &info), CKR_SESSION_HANDLE_INVALID);
    CK_SLOT_INFO slot{};
    ASSERT_EQ(cryptoki->C_GetSlotInfo(0, &slot), CKR_OK);
    EXPECT_EQ(slot.flags & CKF_TOKEN_PRESENT, 0U);
    EXPECT_TRUE(list_slots(cryptoki, CK_TRUE).empty());
    EXPECT_THAT(list_slots(cryptoki, CK_FALSE), ElementsAre(0));

    token.plug();
    EXPECT_EQ(token_info(cryptoki, 0), CKR_OK);
    EXPECT_EQ(cryptoki->C_GetSessionInfo(session, &info), CKR_SESSION_HANDLE_INVALID);
    const CK_SESSION_HANDLE fresh = cryptoki.open(0);
    EXPECT_NE(fresh, session);
    ASSERT_EQ(cryptoki->C_GetSessionInfo(fresh, &info), CKR_OK);
    EXPECT_EQ(info.state, CK_STATE{CKS_RO_PUBLIC_SESSION});
}

TEST(VirtualModule, OutAndInWhileNobodyLooked) {
    VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    for (int turn = 0; turn < 100; ++turn) {
        const CK_SESSION_HANDLE session = cryptoki.open(0);
        ASSERT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
        token.unplug();
        token.plug();
        CK_SESSION_INFO info{};
        ASSERT_EQ(cryptoki->C_GetSessionInfo(session, &info), CKR_SESSION_HANDLE_INVALID);
    }
}

TEST(VirtualModule, LinksOfAnybodyCount) {
    VirtualToken a("plain-softhsm", "A"), b("plain-softhsm", "B");
    const Cryptoki cryptoki(VirtualToken::module());
    const fs::path readers = a.folder().parent_path().parent_path() / "readers";
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    // Another token takes the place in one step: the new link over the old one.
    fs::create_symlink("../../tokens/B", readers / "0/other");
    fs::rename(readers / "0/other", readers / "0/token");
    CK_SESSION_INFO info{};
    EXPECT_EQ(cryptoki->C_GetSessionInfo(session, &info), CKR_SESSION_HANDLE_INVALID);
    EXPECT_EQ(cryptoki.info(0).label[0], 'B');
    fs::remove(readers / "0/token");
    fs::create_symlink("../../tokens/nobody", readers / "0/token");
    EXPECT_EQ(token_info(cryptoki, 0), CKR_TOKEN_NOT_RECOGNIZED);
    fs::remove_all(readers / "1");
    EXPECT_EQ(token_info(cryptoki, 1), CKR_TOKEN_NOT_PRESENT);
    b.plug(1);
    EXPECT_EQ(token_info(cryptoki, 1), CKR_OK);
}

TEST(VirtualModule, ADamagedTokenHidesNoOther) {
    const VirtualToken a("plain-softhsm", "A"), b("plain-softhsm", "B");
    fs::remove_all(a.folder() / "softhsm/tokens");
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_EQ(token_info(cryptoki, 0), CKR_TOKEN_NOT_RECOGNIZED);
    EXPECT_EQ(token_info(cryptoki, 1), CKR_OK);
}

TEST(VirtualModule, NewReadersComeWithANullQuery) {
    VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    token.unplug();
    token.plug(3);
    EXPECT_THAT(list_again(cryptoki, CK_FALSE), ElementsAre(0));
    EXPECT_THAT(list_slots(cryptoki, CK_FALSE), ElementsAre(0, 3));
    EXPECT_THAT(list_again(cryptoki, CK_TRUE), ElementsAre(3));
    CK_SLOT_ID one = 0;
    CK_ULONG room = 1;
    EXPECT_EQ(cryptoki->C_GetSlotList(CK_FALSE, &one, &room), CKR_BUFFER_TOO_SMALL);
    EXPECT_EQ(room, 2U);
    EXPECT_EQ(token_info(cryptoki, 9), CKR_SLOT_ID_INVALID);
}

TEST(VirtualModule, TheSlotGetsAnotherIdWhereTheProfileSaysSo) {
    VirtualToken token("etoken-5110");
    const Cryptoki cryptoki(VirtualToken::module());
    EXPECT_EQ(list_slots(cryptoki, CK_FALSE).size(), 8U);
    EXPECT_THAT(list_slots(cryptoki, CK_TRUE), ElementsAre(0));
    token.unplug();
    EXPECT_EQ(token_info(cryptoki, 0), CKR_TOKEN_NOT_PRESENT);
    token.plug();
    EXPECT_EQ(token_info(cryptoki, 0), CKR_SLOT_ID_INVALID);
    EXPECT_TRUE(list_again(cryptoki, CK_TRUE).empty()) << "the list is as old as the last null query";
    const auto slots = list_slots(cryptoki, CK_TRUE);
    ASSERT_EQ(slots.size(), 1U);
    EXPECT_NE(slots[0], 0U);
    EXPECT_EQ(token_info(cryptoki, slots[0]), CKR_OK);
}

TEST(VirtualModule, SlotEvents) {
    VirtualToken a("plain-softhsm", "A"), b("plain-softhsm", "B");
    const Cryptoki cryptoki(VirtualToken::module());
    CK_SLOT_ID slot = 99;
    EXPECT_EQ(cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr), CKR_NO_EVENT);
    b.unplug();
    EXPECT_EQ(cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr), CKR_OK);
    EXPECT_EQ(slot, 1U);
    EXPECT_EQ(cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr), CKR_NO_EVENT);

    auto waiting = std::async(std::launch::async, [&] {
        CK_SLOT_ID found = 99;
        const CK_RV rv = cryptoki->C_WaitForSlotEvent(0, &found, nullptr);
        return std::pair(rv, found);
    });
    a.unplug();
    ASSERT_EQ(waiting.wait_for(kLongTime), std::future_status::ready);
    EXPECT_EQ(waiting.get(), std::pair(CK_RV{CKR_OK}, CK_SLOT_ID{0}));
}

TEST(VirtualModule, FinalizeWakesWhoWaits) {
    const VirtualToken token("plain-softhsm");
    const Cryptoki cryptoki(VirtualToken::module());
    auto waiting = std::async(std::launch::async, [&] {
        CK_SLOT_ID slot = 99;
        return cryptoki->C_WaitForSlotEvent(0, &slot, nullptr);
    });
    EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    ASSERT_EQ(cryptoki->C_Finalize(nullptr), CKR_OK);
    ASSERT_EQ(waiting.wait_for(kLongTime), std::future_status::ready);
    EXPECT_EQ(waiting.get(), CKR_CRYPTOKI_NOT_INITIALIZED);
}

TEST(VirtualModule, SignsWithEachShippedProfile) {
    for (const std::string& profile : softhsm::shipped_profiles()) {
        const VirtualToken token(profile);
        const Cryptoki cryptoki(VirtualToken::module());
        token.settle();
        const CK_SESSION_HANDLE session = cryptoki.open(0);
        ASSERT_EQ(cryptoki.login(session, token.pin()), CKR_OK) << profile;
        const auto key = cryptoki.find(session, CKO_PRIVATE_KEY).at(0);
        EXPECT_TRUE(verifies(token, sign_digest_info(cryptoki, session, key, token))) << profile;
    }
}

TEST(VirtualModule, ASignatureInProgressEndsWithThePull) {
    softhsm::Profile slow = softhsm::load_profile("plain-softhsm");
    std::string text = slow.text + "\n[behaviour]\nlatency-milliseconds = 600000\n";
    VirtualToken token(softhsm::decode_profile(text, "slow"));
    const Cryptoki cryptoki(VirtualToken::module());
    const CK_SESSION_HANDLE session = cryptoki.open(0);
    ASSERT_EQ(cryptoki.login(session, token.pin()), CKR_OK);
    ASSERT_EQ(cryptoki.sign_init(session, CKM_SHA256_RSA_PKCS, cryptoki.find(session, CKO_PRIVATE_KEY).at(0)),
              CKR_OK);
    Bytes message(10), signature(256);
    CK_ULONG size = signature.size();
    auto signing = std::async(std::launch::async, [&] {
        return cryptoki->C_Sign(session, message.data(), message.size(), signature.data(), &size);
    });
    EXPECT_EQ(signing.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    token.unplug();
    ASSERT_EQ(signing.wait_for(kLongTime), std::future_status::ready);
    EXPECT_EQ(signing.get(), CKR_DEVICE_REMOVED);
    EXPECT_THAT(signature, Each(0));
}

}  // namespace
}  // namespace ctlsign::testing
