#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <pkcs11/error.hpp>
#include <sast/identity.hpp>
#include <sast/token_signer.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/recorded_calls.hpp>
#include <tests/support/soft_tokens.hpp>

// What a run costs in calls of Cryptoki, and what the signer does about answers that real tokens give. The
// recording module stands between the library and SoftHSM2.
namespace ctlsign::sast {
namespace {

using pkcs11::Recovery;

constexpr const char* kToken = "krakow/tokens/SAST-ADN008580ef";

class Calls : public ::testing::Test {
  protected:
    Calls() {
        setenv("RECORD_MODULE", softhsm::find_softhsm_module().c_str(), 1);
        setenv("RECORD_LOG", (tokens_.folder() / "log").c_str(), 1);
        unsetenv("RECORD_FAIL");
        unsetenv("RECORD_READER_PIN");
    }

    // Injects ANSWERS ("C_Sign#1=0x7"), then does what the program does for one file after the other.
    std::vector<Bytes> sign(int times, const char* answers = "") {
        setenv("RECORD_FAIL", answers, 1);
        const auto module = pkcs11::Module::open(CTLSIGN_RECORDING_MODULE);
        const auto token = choose_token(list_tokens({{module}}), std::nullopt);
        TokenSigner signer(choose_identity(token, std::nullopt, std::nullopt), pins_);
        std::vector<Bytes> signatures;
        for (int i = 0; i < times; ++i) signatures.push_back(signer.sign(Digest::Sha1, golden_.message));
        return signatures;
    }

    std::map<std::string, int> counts() const { return testing::count_calls(tokens_.folder() / "log"); }
    int total() const {
        int sum = 0;
        for (const auto& [name, count] : counts()) sum += count;
        return sum;
    }

    testing::SoftTokens tokens_;
    const softhsm::Provisioned made_ = tokens_.add("A", "plain-softhsm", kToken);
    testing::CountingPins pins_{tokens_.pin()};
    const testing::Golden golden_ = testing::read_golden("krakow/CTLFile-tokens.tlv");
};

TEST_F(Calls, TwoForEachSignatureAndOneLogin) {
    sign(1);
    const int for_one = total();
    sign(11);
    const int for_eleven = total() - for_one;
    EXPECT_EQ(for_eleven - for_one, 20) << "C_SignInit and C_Sign, no size query, nothing else";
    EXPECT_EQ(counts()["C_Login"], 2) << "one a run";
    EXPECT_EQ(counts()["C_Sign"], 12);
    EXPECT_EQ(counts()["C_SignInit"], 12);
    EXPECT_EQ(counts()["C_Logout"], 0);
    EXPECT_EQ(counts()["C_Finalize"], counts()["C_Initialize"]);
    // A budget: whoever makes a run longer has to say so here.
    EXPECT_LE(for_one, 68);
}

TEST_F(Calls, AtAReaderAPinIsEnteredAndNotAskedFor) {
    setenv("RECORD_READER_PIN", tokens_.pin().c_str(), 1);
    EXPECT_THAT(sign(2), ::testing::Each(golden_.signature));
    EXPECT_EQ(counts()["C_Login"], 1);
    EXPECT_EQ(pins_.looked, 1);
    EXPECT_EQ(pins_.asked, 0);
}

TEST_F(Calls, NorForAKeyThatAsksEachTime) {
    softhsm::Key key;
    key.pem = testing::read_text(std::string(kToken) + ".key");
    key.certificate = testing::load_certificate(std::string(kToken) + ".pem");
    auto profile = softhsm::load_profile("etoken-pro-64k");
    profile.key.always_authenticate = true;
    const testing::VirtualToken etoken(profile, "B", key);
    setenv("RECORD_MODULE", testing::VirtualToken::module().c_str(), 1);
    setenv("RECORD_READER_PIN", etoken.pin().c_str(), 1);
    EXPECT_THAT(sign(2), ::testing::Each(golden_.signature));
    EXPECT_EQ(counts()["C_Login"], 3) << "of the user, and for each signature";
    EXPECT_EQ(pins_.looked, 3);
    EXPECT_EQ(pins_.asked, 0);
}

TEST_F(Calls, AWrongPinAtAReaderIsTold) {
    setenv("RECORD_READER_PIN", "not the PIN", 1);
    EXPECT_EQ(testing::code_of([&] { sign(1); }), Recovery::pin_wrong);
    EXPECT_EQ(counts()["C_Login"], 1);
    EXPECT_EQ(pins_.asked, 0);
}

// The recording module counts calls over the life of the process, so each injection has a test, hence a
// process, of its own.
class Rejected : public Calls, public ::testing::WithParamInterface<const char*> {};

TEST_P(Rejected, AMechanismIsLeftForTheNextWayAndNotTriedAgain) {
    EXPECT_THAT(sign(3, GetParam()), ::testing::Each(golden_.signature));
    EXPECT_EQ(counts()["C_SignInit"], 4);
    EXPECT_EQ(counts()["C_Login"], 1) << "stepping down costs no PIN";
}

INSTANTIATE_TEST_SUITE_P(Answers, Rejected,
                         ::testing::Values("C_SignInit#1=0x70", "C_SignInit#1=0x68", "C_SignInit#1=0x7",
                                           "C_Sign#1=0x7", "C_Sign#1=0x70"));

TEST_F(Calls, DownToTheLastWay) {
    EXPECT_THAT(sign(2, "C_SignInit#1=0x70,C_Sign#1=0x7"), ::testing::Each(golden_.signature));
    EXPECT_EQ(counts()["C_SignInit"], 4);
}

TEST_F(Calls, WhenEveryWayIsRejectedTheLastAnswerIsTold) {
    try {
        sign(1, "C_SignInit#1=0x70,C_SignInit#2=0x70,C_SignInit#3=0x70");
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Recovery::unsupported);
        EXPECT_EQ(e.failed(), "C_SignInit");
    }
    EXPECT_EQ(counts()["C_SignInit"], 3);
}

TEST_F(Calls, AKeyThatSilentlyAsksEachTimeGetsItsOwnLogin) {
    // 5110 CC: the login was good, C_Sign says CKR_USER_NOT_LOGGED_IN. SoftHSM2 knows no such key and refuses
    // the login for one operation as if the session were lost, so that the token is opened anew: what counts
    // is that it was tried once, with the PIN that was held.
    EXPECT_THAT(sign(1, "C_Sign#1=0x101"), ::testing::ElementsAre(golden_.signature));
    EXPECT_EQ(counts()["C_Login"], 3);
    EXPECT_EQ(pins_.asked, 1);
}

// The recording module tells the token's loss once, then the token is there again: signed at the second try,
// with the PIN that was held.
class Lost : public Calls, public ::testing::WithParamInterface<const char*> {};

TEST_P(Lost, AfterThatTheSameTokenIsOpenedAgain) {
    EXPECT_THAT(sign(2, GetParam()), ::testing::Each(golden_.signature));
    EXPECT_EQ(pins_.asked, 1);
    EXPECT_EQ(counts()["C_SignInit"], 3);
    EXPECT_EQ(counts()["C_Login"], 2);
}

INSTANTIATE_TEST_SUITE_P(Answers, Lost,
                         ::testing::Values("C_Sign#1=0x32", "C_SignInit#1=0xB3", "C_Sign#1=0xE0",
                                           "C_Sign#1=0x30", "C_Sign#1=0x5"));

TEST_F(Calls, APinThatWasRightAndIsRejectedAfterALossIsNotSentAgain) {
    try {
        sign(1, "C_Sign#1=0x32,C_Login#2=0xA0");
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Recovery::pin_wrong);
        EXPECT_THAT(e.what(), ::testing::HasSubstr("was right before"));
    }
    EXPECT_EQ(counts()["C_Login"], 2);
    EXPECT_EQ(pins_.asked, 1);
    EXPECT_THAT(sign(1), ::testing::ElementsAre(golden_.signature)) << "a right PIN is never banned";
}

class Dead : public Calls, public ::testing::WithParamInterface<std::pair<const char*, Recovery>> {};

TEST_P(Dead, ATokenThatFailsTwiceIsAnErrorThatNamesIt) {
    const auto& [answers, recovery] = GetParam();
    try {
        sign(1, answers);
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), recovery);
        EXPECT_THAT(e.what(), ::testing::HasSubstr("token A (serial "));
    }
    EXPECT_EQ(counts()["C_SignInit"], 2) << "tried once more, and no more";
    EXPECT_EQ(pins_.asked, 1);
}

INSTANTIATE_TEST_SUITE_P(Answers, Dead,
                         ::testing::Values(std::pair{"C_Sign#1=0x32,C_Sign#2=0x32", Recovery::token_gone},
                                           std::pair{"C_Sign#1=0x30,C_Sign#2=0x6", Recovery::device_failed},
                                           std::pair{"C_SignInit#1=0xB3,C_SignInit#2=0xB3",
                                                     Recovery::session_lost}));

TEST_F(Calls, ALockedTokenIsNotSentAPin) {
    try {
        sign(1, "C_Login#1=0xA4");
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Recovery::pin_locked);
    }
    EXPECT_EQ(counts()["C_Login"], 1);
}

}  // namespace
}  // namespace ctlsign::sast
