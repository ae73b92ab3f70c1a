#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pkcs11/error.hpp>
#include <pkcs11/session.hpp>
#include <pkcs11/token_lock.hpp>
#include <sast/token_login.hpp>
#include <tests/support/soft_tokens.hpp>

namespace ctlsign::sast {
namespace {

using namespace std::chrono_literals;
using pkcs11::LoginResult;
using pkcs11::Recovery;
using testing::CountingPins;

constexpr const char* kKey = "krakow/tokens/SAST-ADN008580ef";

class Login : public ::testing::Test {
  protected:
    std::error_code log_in(PinSource& pins, TokenPolicy policy = {}) {
        auto session = pkcs11::Session::open(token_);
        TokenLogin login(token_, pins, std::move(policy));
        try {
            result_ = login.log_in(session);
            session.logout();
            return {};
        } catch (const Error& e) {
            message_ = e.what();
            return e.code();
        }
    }

    testing::SoftTokens tokens_;
    const softhsm::Provisioned made_ = tokens_.add("A", "plain-softhsm", kKey);
    const std::shared_ptr<pkcs11::Module> module_ = tokens_.open();
    const pkcs11::Token token_ = module_->tokens().at(0);
    CountingPins right_{tokens_.pin()}, wrong_{"not the PIN"};
    LoginResult result_{};
    std::string message_;
};

TEST_F(Login, ARejectedPinIsNotSentAgain) {
    EXPECT_EQ(log_in(wrong_), Recovery::pin_wrong);
    EXPECT_EQ(log_in(wrong_), pkcs11::Errc::PinRefused);
    EXPECT_THAT(message_, ::testing::HasSubstr("no PIN was sent"));
    EXPECT_EQ(wrong_.asked, 2);
}

TEST_F(Login, ASignatureOfAnotherLengthIsNone) {
    auto session = pkcs11::Session::open(token_);
    TokenLogin(token_, right_, {}).log_in(session);
    const auto key = session.find_objects(
        pkcs11::Template().with<pkcs11::attribute::Class>(pkcs11::ObjectClass::PrivateKey));
    try {
        session.sign(pkcs11::Mechanism::Sha1RsaPkcs, key.at(0), as_bytes("x"), 256);
        FAIL() << "the key has 1024 bits";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), pkcs11::Errc::WrongLength);
        EXPECT_THAT(e.what(), ::testing::HasSubstr("128 octets instead of 256"));
    }
}

TEST_F(Login, WhoTriesAgainAfterARefusalIsAskedAgain) {
    EXPECT_EQ(log_in(wrong_), Recovery::pin_wrong);
    auto session = pkcs11::Session::open(token_);
    TokenLogin login(token_, wrong_, {});
    for (int turn = 2; turn <= 3; ++turn) {
        EXPECT_THROW(login.log_in(session), Error);
        EXPECT_EQ(wrong_.asked, turn);
    }
}

TEST_F(Login, NorByAnotherProcess) {
    EXPECT_EQ(log_in(wrong_), Recovery::pin_wrong);
    const pid_t child = fork();
    if (child == 0) {
        const auto again = pkcs11::Module::open(softhsm::find_softhsm_module())->tokens().at(0);
        auto session = pkcs11::Session::open(again);
        try {
            TokenLogin(again, wrong_, {}).log_in(session);
            _exit(1);
        } catch (const Error& e) {
            _exit(e.code() == pkcs11::Errc::PinRefused ? 0 : 2);
        }
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(Login, ASuccessForgetsTheFailures) {
    EXPECT_EQ(log_in(wrong_), Recovery::pin_wrong);
    EXPECT_EQ(log_in(right_), std::error_code());
    EXPECT_EQ(result_, LoginResult::LoggedIn);
    EXPECT_EQ(log_in(wrong_), Recovery::pin_wrong) << "sent again: the PIN may have been changed to it";
}

TEST_F(Login, AnOpenTokenProvesNoPin) {
    EXPECT_EQ(log_in(wrong_), Recovery::pin_wrong);
    auto open = pkcs11::Session::open(token_);
    CountingPins pins(tokens_.pin());
    TokenLogin login(token_, pins, {});
    login.log_in(open);
    auto session = pkcs11::Session::open(token_);
    EXPECT_EQ(TokenLogin(token_, wrong_, {}).log_in(session), LoginResult::AlreadyLoggedIn);
    EXPECT_EQ(wrong_.asked, 1) << "nobody was asked";
}

TEST_F(Login, AnotherUserOfTheTokenIsWaitedForAndNamed) {
    pkcs11::TokenLock other(token_);
    const auto held = other.hold(1s);
    TokenPolicy impatient;
    impatient.lock_wait = 50ms;
    EXPECT_EQ(log_in(right_, impatient), pkcs11::Errc::TokenInUse);
    EXPECT_THAT(message_, ::testing::HasSubstr("token A (serial "));
    EXPECT_EQ(right_.asked, 1) << "no lock is held while a PIN is asked for";
}

TEST_F(Login, TheWaitForAnotherUserCanBeEnded) {
    pkcs11::TokenLock other(token_);
    const auto held = other.hold(1s);
    TokenPolicy policy;
    policy.lock_wait = 60s;
    int pauses = 0;
    policy.on_pause = [&] {
        if (++pauses == 3) throw Error(std::make_error_code(std::errc::interrupted), "waiting", "", "");
    };
    EXPECT_EQ(log_in(right_, policy), std::errc::interrupted);
    EXPECT_EQ(pauses, 3);
}

TEST_F(Login, TheLockGoesWithItsProcess) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        pkcs11::TokenLock lock(token_);
        const auto held = lock.hold(1s);
        char byte = 'x';
        (void)!write(ready[1], &byte, 1);
        pause();
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    pkcs11::TokenLock lock(token_);
    EXPECT_THROW((void)lock.hold(20ms), Error);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const auto held = lock.hold(1s);
    const auto within = lock.hold(0ms);  // a second hold of the same user is free
}

TEST_F(Login, APinDoesNotCrossAFork) {
    std::string text = "1234";
    const auto pin = pkcs11::Pin::take(text);
    const pid_t child = fork();
    if (child == 0) _exit(pin.empty() ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(pin.reveal_secret(), "1234");
}

}  // namespace
}  // namespace ctlsign::sast
