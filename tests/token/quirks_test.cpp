#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <pkcs11/error.hpp>
#include <pkcs11/session.hpp>
#include <sast/identity.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/recorded_calls.hpp>
#include <tests/support/soft_tokens.hpp>

// What the library does about quirks: tokens of SoftHSM2 that a file says have them, and answers that the
// recording module gives in their name.
namespace ctlsign::sast {
namespace {

namespace attribute = pkcs11::attribute;
using pkcs11::Recovery;
using pkcs11::Session;

constexpr const char* kToken = "krakow/tokens/SAST-ADN008580ef";

class Quirky : public ::testing::Test {
  protected:
    Quirky() {
        setenv("RECORD_MODULE", softhsm::find_softhsm_module().c_str(), 1);
        setenv("RECORD_LOG", (tokens_.folder() / "log").c_str(), 1);
        unsetenv("RECORD_FAIL");
    }
    /// Gives the tokens of SoftHSM2 EFFECTS, and the module MODULE_EFFECTS.
    void set_quirks(const std::string& effects, const std::string& module_effects = "") const {
        const auto path = tokens_.folder() / "quirks.toml";
        std::ofstream(path) << "[[token]]\nwhy = \"test\"\nmanufacturer = \"SoftHSM*\"\n"
                            << effects << "\n[[module]]\nwhy = \"test\"\nmanufacturer = \"SoftHSM\"\n"
                            << module_effects << "\n";
        setenv("CTLSIGN_QUIRKS", path.c_str(), 1);
    }
    void add_empty() const {
        const auto made = softhsm::provision_token(tokens_.folder().path(), "A",
                                                   softhsm::load_profile("plain-softhsm"), {});
        setenv("SOFTHSM2_CONF", made.configuration.c_str(), 1);
    }
    static pkcs11::Token only_token(const std::shared_ptr<pkcs11::Module>& module) {
        return choose_token(list_tokens({{module}}), std::nullopt);
    }
    static std::shared_ptr<pkcs11::Module> open_recorded() {
        return pkcs11::Module::open(CTLSIGN_RECORDING_MODULE);
    }
    int calls(const std::string& function) const {
        return testing::count_calls(tokens_.folder() / "log")[function];
    }

    testing::SoftTokens tokens_;
};

class Busy : public Quirky, public ::testing::WithParamInterface<const char*> {};

TEST_P(Busy, ATokenIsTriedAgain) {
    tokens_.add("A", "plain-softhsm", kToken);
    set_quirks("busy-after-close-milliseconds = 60000");
    const std::string answer = GetParam();
    setenv("RECORD_FAIL", ("C_OpenSession#1=" + answer + ",C_OpenSession#2=" + answer).c_str(), 1);
    Session::open(only_token(open_recorded()));
    EXPECT_EQ(calls("C_OpenSession"), 3);
}

INSTANTIATE_TEST_SUITE_P(Answers, Busy,
                         ::testing::Values("0x30", "0xB1",
                                           "0xE0"));  // device error, session count, not present

TEST_F(Quirky, BusyForTooLongIsToldAsItIs) {
    tokens_.add("A", "plain-softhsm", kToken);
    set_quirks("busy-after-close-milliseconds = 1");
    setenv("RECORD_FAIL", "C_OpenSession#1=0xB1,C_OpenSession#2=0xB1,C_OpenSession#3=0xB1", 1);
    try {
        Session::open(only_token(open_recorded()));
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Recovery::busy);
    }
    EXPECT_EQ(calls("C_OpenSession"), 2);
}

TEST_F(Quirky, AnythingElseIsNoReasonToWait) {
    tokens_.add("A", "plain-softhsm", kToken);
    set_quirks("busy-after-close-milliseconds = 60000");
    setenv("RECORD_FAIL", "C_OpenSession#1=0x5", 1);
    EXPECT_THROW(Session::open(only_token(open_recorded())), Error);
    EXPECT_EQ(calls("C_OpenSession"), 1);
}

TEST_F(Quirky, WithoutTheQuirkNothingIsTriedAgain) {
    tokens_.add("A", "plain-softhsm", kToken);
    setenv("RECORD_FAIL", "C_OpenSession#1=0x30", 1);
    EXPECT_THROW(Session::open(only_token(open_recorded())), Error);
    EXPECT_EQ(calls("C_OpenSession"), 1);
}

TEST_F(Quirky, ATokenThatSettlesIsLookedAtAgain) {
    add_empty();
    set_quirks("settle-milliseconds = 60000");
    const auto module = open_recorded();
    const auto token = only_token(module);
    const auto certificate = testing::load_certificate(std::string(kToken) + ".pem");
    // It appears while we look.
    std::jthread later([&] {
        while (calls("C_FindObjectsInit") < 5) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        Session session = Session::open(token, Session::Access::ReadWrite);
        std::string pin = softhsm::load_profile("plain-softhsm").pin.user;
        session.login(pkcs11::Pin::take(pin), pkcs11::FinalTry::Refuse);
        const auto object =
            pkcs11::Template()
                .with<attribute::Class>(pkcs11::ObjectClass::Certificate)
                .with<attribute::CertificateType>(pkcs11::CertificateType::X509)
                .with<attribute::Token>(true)
                .with<attribute::Private>(false)
                .with<attribute::Subject>(Bytes{0x30, 0})
                .with<attribute::Value>(Bytes(certificate.der().begin(), certificate.der().end()));
        for (;;) {
            try {
                session.create_object(object);
                return;
            } catch (const Error& e) {
                // SoftHSM2 fails where it is read while it writes; without a pause perhaps each time.
                if (e.code() != pkcs11::make_rv(0x05)) throw;
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
        }
    });
    const auto identities = [&] {
        for (;;) {
            try {
                return list_identities(token);
            } catch (const Error& e) {
                // SoftHSM2 shows an object that is not all there yet.
                if (e.code() != pkcs11::Recovery::session_lost) throw;
            }
        }
    }();
    ASSERT_EQ(identities.size(), 1U);
    EXPECT_EQ(identities[0].certificate, certificate);
}

TEST_F(Quirky, ATokenThatStaysEmptyIsEmpty) {
    add_empty();
    set_quirks("settle-milliseconds = 20");
    EXPECT_TRUE(list_identities(only_token(open_recorded())).empty());
    EXPECT_GT(calls("C_FindObjectsInit"), 2);
}

TEST_F(Quirky, WithoutTheQuirkItIsLookedAtOnce) {
    add_empty();
    EXPECT_TRUE(list_identities(only_token(open_recorded())).empty());
    EXPECT_EQ(calls("C_FindObjectsInit"), 2) << "public keys, certificates";
}

TEST_F(Quirky, AModuleThatMustNotBeFinalizedIsNot) {
    tokens_.add("A", "plain-softhsm", kToken);
    set_quirks("", "never-finalize = true");
    open_recorded()->tokens();
    EXPECT_EQ(calls("C_Initialize"), 1);
    EXPECT_EQ(calls("C_Finalize"), 0);
    const auto again = open_recorded();
    EXPECT_EQ(again->tokens().size(), 1U);
    // SoftHSM2, which has no such quirk, frees our mutexes its own way at exit.
    static_cast<CK_FUNCTION_LIST*>(again->native_function_list())->C_Finalize(nullptr);
}

TEST_F(Quirky, AFileThatCannotBeReadIsToldAtOnce) {
    const auto path = tokens_.folder() / "quirks.toml";
    std::ofstream(path) << "[[token]]";
    setenv("CTLSIGN_QUIRKS", path.c_str(), 1);
    EXPECT_THROW(open_recorded(), Error);
    std::vector<pkcs11::Module::Failure> failures;
    EXPECT_THROW(pkcs11::Module::open_configured(failures), Error);
    EXPECT_TRUE(failures.empty());
}

// The real thing: right after the plug there is no object, and after each close the token is busy.
TEST(VirtualEtoken, IsReadAsSoonAsItSettlesAndOpenedAsSoonAsItIsFree) {
    testing::VirtualToken etoken("etoken-5110");
    const auto module = pkcs11::Module::open(testing::VirtualToken::module());
    etoken.unplug();
    etoken.plug();
    const auto token = choose_token(list_tokens({{module}}), std::nullopt);
    for (int i = 0; i < 3; ++i) {
        const auto identities = list_identities(token);
        ASSERT_EQ(identities.size(), 1U);
        EXPECT_EQ(identities[0].evidence, KeyEvidence::Seen);
    }
}

// Each close makes it busy for longer; who waits is not to blame for what the other threads close.
TEST(VirtualEtoken, ThreadsThatCloseDoNotStarveThoseThatOpen) {
    const testing::VirtualToken etoken("etoken-pro-64k");
    const auto module = pkcs11::Module::open(testing::VirtualToken::module());
    const auto token = choose_token(list_tokens({{module}}), std::nullopt);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int turn = 0; turn < 3; ++turn) EXPECT_NO_THROW(Session::open(token));
        });
    }
    for (auto& thread : threads) thread.join();
}

TEST(VirtualEtoken, OnceItIsGoneNobodyWaitsForIt) {
    testing::VirtualToken etoken("etoken-5110");
    const auto module = pkcs11::Module::open(testing::VirtualToken::module());
    const auto token = choose_token(list_tokens({{module}}), std::nullopt);
    Session::open(token);
    etoken.unplug();
    try {
        Session::open(token);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Recovery::token_gone);
    }
}

}  // namespace
}  // namespace ctlsign::sast
