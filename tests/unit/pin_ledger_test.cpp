#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <pkcs11/private_files.hpp>
#include <pkcs11/store.hpp>
#include <sast/error.hpp>
#include <sast/pin_ledger.hpp>
#include <tests/support/temporary_folder.hpp>
#include <tests/support/text_file.hpp>

namespace ctlsign::sast {
namespace {

using pkcs11::PinState;
using pkcs11::PinStatus;
using pkcs11::PinTries;
using testing::load_text;

pkcs11::Pin pin(std::string text) {
    return pkcs11::Pin::take(text);
}

pkcs11::TokenInfo token(const std::string& serial) {
    pkcs11::TokenInfo info;
    info.manufacturer = "M";
    info.serial = serial;
    return info;
}

class Ledger : public ::testing::Test {
  protected:
    std::filesystem::path only_file() const {
        std::filesystem::path file;
        for (const auto& entry : std::filesystem::directory_iterator(folder_ / "ledger")) {
            EXPECT_TRUE(file.empty());
            file = entry.path();
        }
        return file;
    }

    testing::TemporaryFolder folder_;
    const PinLedger ledger_{folder_ / "ledger"};
    const pkcs11::TokenInfo a_ = token("1"), b_ = token("2");
};

TEST_F(Ledger, ARejectedPinIsKnownForItsTokenOnly) {
    EXPECT_FALSE(ledger_.contains(a_, pin("wrong")));
    ledger_.add(a_, pin("wrong"), {PinState::CountLow, std::nullopt});
    ledger_.add(a_, pin("wrong too"), {PinState::CountLow, std::nullopt});
    EXPECT_TRUE(ledger_.contains(a_, pin("wrong")));
    EXPECT_TRUE(ledger_.contains(a_, pin("wrong too")));
    EXPECT_FALSE(ledger_.contains(a_, pin("right")));
    EXPECT_FALSE(ledger_.contains(b_, pin("wrong")));
    EXPECT_TRUE(PinLedger(folder_ / "ledger").contains(a_, pin("wrong"))) << "for other processes too";
    ledger_.forget(a_);
    EXPECT_FALSE(ledger_.contains(a_, pin("wrong")));
    ledger_.forget(a_);
}

TEST_F(Ledger, TheFileIsTheUsersAndHoldsNoPinAndNoSerial) {
    ledger_.add(token("serial-4711"), pin("hidden-word"), {PinState::CountLow, std::nullopt});
    struct stat status {};
    ASSERT_EQ(stat(only_file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    ASSERT_EQ(stat((folder_ / "ledger").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0700U);
    const std::string text = load_text(only_file()) + only_file().string();
    EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("hidden-word")));
    EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("serial-4711")));
}

TEST_F(Ledger, TwoTokensHaveTwoSalts) {
    ledger_.add(a_, pin("same"), {PinState::CountLow, std::nullopt});
    const std::string first = load_text(only_file());
    ledger_.forget(a_);
    ledger_.add(a_, pin("same"), {PinState::CountLow, std::nullopt});
    EXPECT_NE(load_text(only_file()), first);
}

TEST_F(Ledger, EverythingGoesWhenTheTriesRise) {
    const auto counted = [](unsigned long left) { return PinStatus{PinState::CountLow, PinTries{left, 15}}; };
    ledger_.add(a_, pin("wrong"), counted(7));
    ledger_.notice(a_, counted(7));
    ledger_.notice(a_, counted(6));
    ledger_.notice(a_, {PinState::Good, std::nullopt});  // the counter could not be read: no rise
    EXPECT_TRUE(ledger_.contains(a_, pin("wrong")));
    ledger_.notice(a_, counted(15));
    EXPECT_FALSE(ledger_.contains(a_, pin("wrong")));

    ledger_.add(b_, pin("wrong"), {PinState::CountLow, std::nullopt});
    ledger_.notice(b_, {PinState::FinalTry, std::nullopt});
    EXPECT_TRUE(ledger_.contains(b_, pin("wrong")));
    ledger_.notice(b_, {PinState::Good, std::nullopt});
    EXPECT_FALSE(ledger_.contains(b_, pin("wrong")));
}

TEST_F(Ledger, ADamagedFileIsSaidAndNotTakenForAnEmptyOne) {
    ledger_.add(a_, pin("wrong"), {PinState::CountLow, std::nullopt});
    for (const char* text : {"", "{", "[]", R"({"salt":"zz"})", R"({"salt":"00","rank":1,"counted":true})"}) {
        store_file(only_file().string(), as_bytes(text));
        try {
            (void)ledger_.contains(a_, pin("wrong"));
            ADD_FAILURE() << text;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::MalformedLedger) << text;
            EXPECT_THAT(e.what(), ::testing::HasSubstr("forget-pin-failures"));
        }
    }
    ledger_.forget(a_);
    EXPECT_FALSE(ledger_.contains(a_, pin("wrong")));
}

TEST(StateFolder, IsWhereTheUserSays) {
    setenv("XDG_STATE_HOME", "/some/where", 1);
    EXPECT_EQ(user_state_folder(), "/some/where/ctlsign");
    setenv("XDG_STATE_HOME", "relative", 1);
    setenv("HOME", "/home/somebody", 1);
    EXPECT_EQ(user_state_folder(), "/home/somebody/.local/state/ctlsign");
    unsetenv("HOME");
    EXPECT_TRUE(user_state_folder().is_absolute());
}

}  // namespace
}  // namespace ctlsign::sast
