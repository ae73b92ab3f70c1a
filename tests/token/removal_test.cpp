#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <pkcs11/error.hpp>
#include <sast/error.hpp>
#include <sast/identity.hpp>
#include <sast/token_signer.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/counting_pins.hpp>
#include <tests/support/watchdog.hpp>

// A virtual token that is pulled, put back, put elsewhere or replaced while the signer uses it.
namespace ctlsign::sast {
namespace {

using namespace std::chrono_literals;
using pkcs11::Recovery;
using testing::CountingPins;
using testing::VirtualToken;

class Removal : public ::testing::Test {
  protected:
    Removal() { use("etoken-pro-64k"); }

    void use(const std::string& profile) {
        module_.reset();
        token_.reset();
        token_.emplace(profile, "A");
        module_ = pkcs11::Module::open(VirtualToken::module());
        pins_.emplace(token_->pin());
    }
    TokenSigner make_signer(std::chrono::milliseconds wait = 20s) {
        token_->settle();
        TokenPolicy policy;
        policy.wait = wait;
        policy.on_wait = [this](const pkcs11::Token&) {
            ++told_;
            if (when_told_) when_told_();
        };
        policy.on_pause = [this] {
            if (interrupt_after_ > 0 && --interrupt_after_ == 0)
                throw Error(std::make_error_code(std::errc::interrupted), "waiting", "", "");
        };
        return TokenSigner(choose_identity(module_->tokens().at(0), std::nullopt, std::nullopt), *pins_,
                           policy);
    }
    // Throws unless the signature verifies with the certificate of the token that was chosen.
    static void sign(TokenSigner& signer) { signer.sign(Digest::Sha1, message()); }
    static ByteView message() { return as_bytes("a list"); }
    std::error_code try_sign(TokenSigner& signer) {
        return testing::code_of([&] { sign(signer); }, &message_);
    }
    std::filesystem::path faults() const { return token_->folder().parent_path().parent_path() / "faults"; }
    std::ptrdiff_t faults_left() const {
        std::ifstream in(faults());
        return std::count(std::istreambuf_iterator<char>(in), {}, '\n');
    }
    unsigned tries_left() const {
        const auto session = pkcs11::Session::open(module_->tokens().at(0));
        return static_cast<unsigned>(session.read_pin_status().tries.value().left);
    }

    testing::Watchdog watchdog_{120s};
    std::optional<VirtualToken> token_;
    std::shared_ptr<pkcs11::Module> module_;
    std::optional<CountingPins> pins_;
    std::atomic<int> told_ = 0;
    std::function<void()> when_told_;
    int interrupt_after_ = 0;  ///< pauses
    std::string message_;
};

TEST_F(Removal, PulledAndPutBackBetweenSignatures) {
    auto signer = make_signer();
    sign(signer);
    for (int i = 0; i < 5; ++i) {
        token_->unplug();
        token_->plug();
        sign(signer);
    }
    EXPECT_EQ(pins_->asked, 1) << "the PIN that was entered opens the token again";
    EXPECT_EQ(tries_left(), 15U);
}

TEST_F(Removal, ThePersonIsToldAndPutsItBack) {
    auto signer = make_signer();
    sign(signer);
    when_told_ = [this] { token_->plug(); };
    token_->unplug();
    sign(signer);
    EXPECT_EQ(told_, 1);
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(Removal, TheWaitCanBeEndedAndTheSignerStaysUsable) {
    interrupt_after_ = 3;
    auto signer = make_signer(60s);
    sign(signer);
    token_->unplug();
    EXPECT_EQ(try_sign(signer), std::errc::interrupted);
    EXPECT_EQ(told_, 1);
    token_->plug();
    sign(signer);
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(Removal, ACardThatIsNotAllTheWayInYetIsWaitedFor) {
    auto signer = make_signer();
    sign(signer);
    token_->unplug();
    token_->plug();
    token_->fault("on C_GetTokenInfo return CKR_TOKEN_NOT_RECOGNIZED");
    token_->fault("on C_Login return CKR_USER_PIN_NOT_INITIALIZED");
    token_->fault("on C_Login return CKR_GENERAL_ERROR");
    token_->fault("on C_Login return CKR_USER_PIN_NOT_INITIALIZED");
    sign(signer);
    EXPECT_EQ(pins_->asked, 1);
    EXPECT_EQ(tries_left(), 15U);
}

TEST_F(Removal, ATokenThatHasNoPinIsNotWaitedFor) {
    auto signer = make_signer(60s);
    // More often than can be tried while a card may be on its way in.
    for (int i = 0; i < 100; ++i) token_->fault("on C_Login return CKR_USER_PIN_NOT_INITIALIZED");
    EXPECT_EQ(try_sign(signer), Recovery::pin_locked);
    EXPECT_THAT(message_, ::testing::HasSubstr("CKR_USER_PIN_NOT_INITIALIZED"));
    EXPECT_EQ(told_, 0);
}

TEST_F(Removal, APinThatMayBeWrongIsSentTwiceAtTheMost) {
    for (const char* answer : {"CKR_DEVICE_ERROR", "CKR_FUNCTION_FAILED", "CKR_TOKEN_NOT_PRESENT"}) {
        auto signer = make_signer(60s);
        for (int i = 0; i < 10; ++i) token_->fault(std::string("on C_Login return ") + answer);
        EXPECT_EQ(try_sign(signer), pkcs11::Errc::PinRefused) << answer;
        EXPECT_THAT(message_, ::testing::HasSubstr("has failed each time"));
        EXPECT_EQ(faults_left(), 8) << answer;
        std::filesystem::remove(faults());
        pins_->asked = 0;
        sign(signer);
        EXPECT_EQ(pins_->asked, 1) << "whoever tries again is asked again";
        module_.reset();
        module_ = pkcs11::Module::open(VirtualToken::module());
    }
}

TEST_F(Removal, TriesThatOthersUseWhileAPersonTypesAreSeen) {
    use("etoken-5110-cc");
    token_->settle();
    auto other = pkcs11::Session::open(module_->tokens().at(0));
    std::string pin = token_->pin();
    other.login(pkcs11::Pin::take(pin), pkcs11::FinalTry::Refuse);  // what is asked for is the key's alone
    auto signer = make_signer();
    pins_->on_ask = [this] { std::ofstream(token_->folder() / "pin-tries") << "1\n"; };
    EXPECT_EQ(try_sign(signer), pkcs11::Errc::FinalTryRefused);
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(Removal, PulledWhileThePinIsAskedFor) {
    auto signer = make_signer();
    pins_->on_ask = [this] {
        token_->unplug();
        token_->plug();
    };
    sign(signer);
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(Removal, PulledInTheMiddleOfASignature) {
    auto signer = make_signer();
    sign(signer);
    token_->fault("on C_Sign delay 60s");  // which the pull ends
    token_->fault("at 100ms unplug A");
    when_told_ = [this] { token_->plug(); };
    sign(signer);
    EXPECT_EQ(told_, 1);
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(Removal, PutIntoAnotherReader) {
    auto signer = make_signer();
    sign(signer);
    const auto slot = signer.identity().token.slot();
    token_->unplug();
    token_->plug(3);
    sign(signer);
    EXPECT_NE(signer.identity().token.slot(), slot);
}

TEST_F(Removal, AnotherTokenInItsPlaceSignsNothing) {
    auto signer = make_signer(2s);
    sign(signer);
    token_->unplug();
    const VirtualToken other("etoken-pro-64k", "B");
    EXPECT_EQ(try_sign(signer), pkcs11::Errc::TokenGone);
    EXPECT_THAT(message_, ::testing::AllOf(::testing::HasSubstr("token A (serial "),
                                           ::testing::HasSubstr("did not come back within 2 s")));
    EXPECT_EQ(pins_->asked, 1);
    token_->plug();
    sign(signer);
}

TEST_F(Removal, ATokenWithTheSameNamesAndAnotherKeySignsNothing) {
    auto signer = make_signer(2s);
    sign(signer);
    token_->unplug();
    std::string twin = token_->profile().text;
    const std::string table = "[token]\n";
    twin.insert(twin.find(table) + table.size(),
                "label = '" + token_->label() + "'\nserial = '" + token_->serial() + "'\n");
    const VirtualToken other(softhsm::decode_profile(twin, "twin"), "B");
    other.settle();
    EXPECT_EQ(try_sign(signer), Errc::NoKey);
}

TEST_F(Removal, APinThatWasRightIsNotSentAgainOnceItIsRejected) {
    auto signer = make_signer();
    sign(signer);
    token_->fault("on C_Login return CKR_PIN_INCORRECT");
    token_->unplug();
    token_->plug();
    EXPECT_EQ(try_sign(signer), Recovery::pin_wrong);
    EXPECT_THAT(message_, ::testing::HasSubstr("was right before"));
    EXPECT_EQ(pins_->asked, 1);
    // A right PIN is never banned: entered once more, it is sent.
    sign(signer);
    EXPECT_EQ(pins_->asked, 2);
}

TEST_F(Removal, ALoginThatWasLostSilentlyIsMadeAgain) {
    auto signer = make_signer();
    sign(signer);
    token_->fault("on C_Sign return CKR_USER_NOT_LOGGED_IN");
    auto other = pkcs11::Session::open(signer.identity().token);
    std::string pin = token_->pin();
    other.login(pkcs11::Pin::take(pin), pkcs11::FinalTry::Refuse);
    other.logout();  // the signer's own login keeps the token open, as far as this library decides
    sign(signer);
    EXPECT_EQ(pins_->asked, 1);
}

TEST_F(Removal, ADeviceThatFailsIsOpenedAnewOnceAndNotWaitedFor) {
    auto signer = make_signer();
    sign(signer);
    token_->fault("on C_Sign return CKR_DEVICE_ERROR");
    sign(signer);
    for (int i = 0; i < 2; ++i) token_->fault("on C_Sign return CKR_DEVICE_ERROR");
    EXPECT_EQ(try_sign(signer), Recovery::device_failed);
    EXPECT_EQ(told_, 0);
    EXPECT_EQ(pins_->asked, 1);
    sign(signer);
}

TEST_F(Removal, ASignatureThatComesBackWrongIsNotDelivered) {
    auto signer = make_signer();
    sign(signer);
    token_->fault("on C_Sign corrupt");
    EXPECT_EQ(try_sign(signer), Errc::WrongSignature);
    sign(signer);
}

TEST_F(Removal, WithoutATimeToWaitItIsAnErrorSoon) {
    auto signer = make_signer(0s);
    sign(signer);
    token_->unplug();
    EXPECT_EQ(try_sign(signer), Recovery::token_gone);
    EXPECT_EQ(told_, 0);
}

TEST_F(Removal, AKeyThatAsksEachTimeSurvivesAPull) {
    use("etoken-5110-cc");
    auto signer = make_signer();
    signer.sign(Digest::Sha256, message());
    token_->unplug();
    token_->plug();
    signer.sign(Digest::Sha256, message());
    EXPECT_EQ(pins_->asked, 1);
    EXPECT_EQ(tries_left(), 15U);
}

TEST_F(Removal, AWrongPinCostsOneTryHoweverOftenTheTokenIsPulled) {
    CountingPins wrong("not-the-pin");
    {
        const auto identity = choose_identity(module_->tokens().at(0), std::nullopt, std::nullopt);
        TokenSigner signer(identity, wrong);
        EXPECT_EQ(try_sign(signer), Recovery::pin_wrong);
        EXPECT_EQ(tries_left(), 14U);
        token_->unplug();
        token_->plug();
        token_->settle();
        EXPECT_EQ(try_sign(signer), pkcs11::Errc::PinRefused);
    }
    EXPECT_EQ(tries_left(), 14U);
    auto signer = make_signer();
    sign(signer);
    EXPECT_EQ(tries_left(), 15U);
}

}  // namespace
}  // namespace ctlsign::sast
