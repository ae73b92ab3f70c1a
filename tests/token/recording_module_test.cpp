#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <softhsm-profiles/provision.hpp>
#include <softhsm-profiles/softhsm_module.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/data.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign {
namespace {

using testing::Cryptoki;
using ::testing::ElementsAre;
using testing::read_text;
using testing::TemporaryFolder;

class RecordingModule : public ::testing::Test {
  protected:
    RecordingModule() {
        const softhsm::Profile profile = softhsm::load_profile("plain-softhsm");
        softhsm::Key key;
        key.pem = read_text("krakow/tokens/SAST-ADN008580ef.key");
        configuration_ = softhsm::provision_token(folder_.path(), "A", profile, {&key, 1}).configuration;
        pin_ = profile.pin.user;
        setenv("RECORD_MODULE", softhsm::find_softhsm_module().c_str(), 1);
        setenv("RECORD_LOG", (folder_ / "log").c_str(), 1);
        unsetenv("RECORD_FAIL");
        unsetenv("RECORD_READER_PIN");
    }
    std::vector<std::string> log() const {
        std::ifstream in(folder_ / "log");
        std::vector<std::string> lines;
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        return lines;
    }
    TemporaryFolder folder_;
    std::string configuration_, pin_;
};

TEST_F(RecordingModule, ForwardsAndRecordsEachCall) {
    {
        const Cryptoki cryptoki(CTLSIGN_RECORDING_MODULE, configuration_);
        const CK_SESSION_HANDLE session = cryptoki.open(cryptoki.tokens().at(0));
        EXPECT_EQ(cryptoki.login(session, "not the PIN"), CKR_PIN_INCORRECT);
        EXPECT_EQ(cryptoki.login(session, pin_), CKR_OK);
        const CK_OBJECT_HANDLE key = cryptoki.find(session, CKO_PRIVATE_KEY).at(0);
        EXPECT_EQ(cryptoki.sign_init(session, CKM_SHA1_RSA_PKCS, key), CKR_OK);
        EXPECT_EQ(cryptoki.sign(session, as_bytes("x")).size(), 128U);
    }
    EXPECT_THAT(log(), ElementsAre("C_GetFunctionList 0x0", "C_Initialize 0x0", "C_GetSlotList 0x0",
                                   "C_GetSlotList 0x0", "C_GetTokenInfo 0x0", "C_GetTokenInfo 0x0",
                                   "C_OpenSession 0x0", "C_Login 0xa0", "C_Login 0x0",
                                   "C_FindObjectsInit 0x0", "C_FindObjects 0x0", "C_FindObjectsFinal 0x0",
                                   "C_SignInit 0x0", "C_Sign 0x0", "C_Finalize 0x0"));
}

TEST_F(RecordingModule, AnswersItselfWhereItIsToldTo) {
    setenv("RECORD_FAIL", "C_SignInit#2=0x70,C_Sign#1=7", 1);
    const Cryptoki cryptoki(CTLSIGN_RECORDING_MODULE, configuration_);
    const CK_SESSION_HANDLE session = cryptoki.open(cryptoki.tokens().at(0));
    EXPECT_EQ(cryptoki.login(session, pin_), CKR_OK);
    const CK_OBJECT_HANDLE key = cryptoki.find(session, CKO_PRIVATE_KEY).at(0);
    EXPECT_EQ(cryptoki.sign_init(session, CKM_SHA1_RSA_PKCS, key), CKR_OK);
    EXPECT_THROW(cryptoki.sign(session, as_bytes("x")), std::runtime_error);
    EXPECT_EQ(cryptoki.sign(session, as_bytes("x")).size(), 128U) << "the first C_Sign was not forwarded";
    EXPECT_EQ(cryptoki.sign_init(session, CKM_SHA1_RSA_PKCS, key), CKR_MECHANISM_INVALID);
    EXPECT_EQ(cryptoki.sign_init(session, CKM_SHA1_RSA_PKCS, key), CKR_OK);
    const std::vector<std::string> lines = log();
    EXPECT_EQ(std::ranges::count(lines, "C_Sign 0x7"), 1);
    EXPECT_EQ(std::ranges::count(lines, "C_SignInit 0x70"), 1);
}

TEST_F(RecordingModule, AnswersFromACallOn) {
    setenv("RECORD_FAIL", "C_GetTokenInfo#2+=0x30,C_WaitForSlotEvent#1=0", 1);
    const Cryptoki cryptoki(CTLSIGN_RECORDING_MODULE, configuration_);
    CK_TOKEN_INFO info{};
    const CK_SLOT_ID any = 0;
    EXPECT_NE(cryptoki->C_GetTokenInfo(any, &info), CKR_DEVICE_ERROR);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(cryptoki->C_GetTokenInfo(any, &info), CKR_DEVICE_ERROR);
    CK_SLOT_ID slot = 7;
    EXPECT_EQ(cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr), CKR_OK);
    EXPECT_EQ(slot, 7U) << "nothing was done";
    EXPECT_EQ(cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr), CKR_NO_EVENT);
}

TEST_F(RecordingModule, HasAReaderThatAPinIsEnteredAt) {
    setenv("RECORD_READER_PIN", pin_.c_str(), 1);
    const Cryptoki cryptoki(CTLSIGN_RECORDING_MODULE, configuration_);
    const CK_SLOT_ID slot = cryptoki.tokens().at(0);
    CK_TOKEN_INFO info{};
    EXPECT_EQ(cryptoki->C_GetTokenInfo(slot, &info), CKR_OK);
    EXPECT_NE(info.flags & CKF_PROTECTED_AUTHENTICATION_PATH, 0U);
    const CK_SESSION_HANDLE session = cryptoki.open(slot);
    EXPECT_EQ(cryptoki.login(session, "not the PIN"), CKR_PIN_INCORRECT) << "of the program";
    EXPECT_EQ(cryptoki->C_Login(session, CKU_USER, nullptr, 0), CKR_OK);
}

// A function list whose members were swapped would still compile where the signatures are the same.
TEST_F(RecordingModule, EveryFunctionIsItself) {
    const Cryptoki cryptoki(CTLSIGN_RECORDING_MODULE, configuration_);
    cryptoki->C_DigestFinal(0, nullptr, nullptr);
    cryptoki->C_VerifyFinal(0, nullptr, 0);
    cryptoki->C_SignUpdate(0, nullptr, 0);
    cryptoki->C_GetFunctionStatus(0);
    cryptoki->C_CancelFunction(0);
    CK_SLOT_ID slot = 0;
    cryptoki->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, nullptr);
    std::vector<std::string> names = log();
    for (std::string& line : names) line.resize(line.find(' '));
    EXPECT_THAT(names,
                ElementsAre("C_GetFunctionList", "C_Initialize", "C_DigestFinal", "C_VerifyFinal",
                            "C_SignUpdate", "C_GetFunctionStatus", "C_CancelFunction", "C_WaitForSlotEvent"));
}

TEST_F(RecordingModule, AModuleThatIsNotThereIsAnError) {
    setenv("RECORD_MODULE", "/nowhere.so", 1);
    EXPECT_THROW(Cryptoki(CTLSIGN_RECORDING_MODULE, configuration_), std::runtime_error);
}

}  // namespace
}  // namespace ctlsign
