#include <gtest/gtest.h>

#include <pkcs11/module.hpp>
#include <pkcs11/session.hpp>
#include <sast/identity.hpp>
#include <sast/token_signer.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/soft_tokens.hpp>

// Virtual tokens through the libraries of this project.
namespace ctlsign::testing {
namespace {

using pkcs11::Recovery;

pkcs11::Session log_in(const pkcs11::Module& module, const VirtualToken& token) {
    auto session = pkcs11::Session::open(module.tokens().at(0));
    std::string pin = token.pin();
    session.login(pkcs11::Pin::take(pin), pkcs11::FinalTry::Refuse);
    return session;
}

TEST(VirtualLibrary, KnowsTokensBySerial) {
    const VirtualToken a("etoken-5110", "A"), b("publisher-hsm", "B");
    const auto module = pkcs11::Module::open(VirtualToken::module());
    const auto tokens = module->tokens();
    ASSERT_EQ(tokens.size(), 2U);
    EXPECT_EQ(tokens[0].info().serial, a.serial());
    EXPECT_EQ(tokens[0].info().manufacturer, "SafeNet, Inc.");
    EXPECT_EQ(tokens[1].info().serial, b.serial());
    EXPECT_EQ(tokens[1].info().model, "publisher-hsm");
    EXPECT_EQ(module->slots(pkcs11::Module::Slots::All).size(), 8U);
}

TEST(VirtualLibrary, ClassifiesAPull) {
    VirtualToken token("plain-softhsm");
    const auto module = pkcs11::Module::open(VirtualToken::module());
    auto session = log_in(*module, token);
    const auto find_key = [&] {
        return session
            .find_objects(pkcs11::Template().with<pkcs11::attribute::Class>(pkcs11::ObjectClass::PrivateKey))
            .at(0);
    };
    auto key = find_key();
    const Bytes input(20);
    const auto sign = [&] { session.sign(pkcs11::Mechanism::RsaPkcs, key, input, 256); };
    EXPECT_EQ(code_of(sign), std::error_code());
    token.fault("on C_Sign unplug " + token.name());
    EXPECT_TRUE(code_of(sign) == Recovery::token_gone);
    EXPECT_TRUE(module->tokens().empty());
    EXPECT_TRUE(code_of([&] { session.token().read_info(); }) == Recovery::token_gone);
    token.plug();
    EXPECT_TRUE(code_of([&] { session.logged_in(); }) == Recovery::session_lost);
    session = log_in(*module, token);
    EXPECT_TRUE(code_of(sign) == Recovery::session_lost) << "objects have other numbers in another life";
    key = find_key();
    EXPECT_EQ(code_of(sign), std::error_code());
}

TEST(VirtualLibrary, WaitsForABusyToken) {
    const VirtualToken token("etoken-pro-64k");
    const auto module = pkcs11::Module::open(VirtualToken::module());
    const auto found = module->tokens().at(0);
    pkcs11::Session::open(found).close();
    EXPECT_EQ(code_of([&] { pkcs11::Session::open(found).close(); }), std::error_code());
}

TEST(VirtualLibrary, ReadsThePinState) {
    const VirtualToken token("etoken-5110");
    const auto module = pkcs11::Module::open(VirtualToken::module());
    const auto found = module->tokens().at(0);
    EXPECT_EQ(found.info().pin, pkcs11::PinState::Good);
    auto session = pkcs11::Session::open(found);
    std::string wrong = "wrong-pin";
    const auto login = [&] { session.login(pkcs11::Pin::take(wrong), pkcs11::FinalTry::Refuse); };
    EXPECT_TRUE(code_of(login) == Recovery::pin_wrong);
    EXPECT_EQ(found.read_info().pin, pkcs11::PinState::CountLow);
}

TEST(VirtualLibrary, SignsWithEveryProfile) {
    for (const std::string& profile : softhsm::shipped_profiles()) {
        const VirtualToken token(profile);
        token.settle();
        const auto module = pkcs11::Module::open(VirtualToken::module());
        CountingPins pins(token.pin());
        sast::TokenSigner signer(sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt),
                                 pins);
        // The signer verifies what it returns.
        EXPECT_FALSE(signer.sign(Digest::Sha1, as_bytes("a message")).empty()) << profile;
        EXPECT_EQ(pins.asked, 1) << profile;
    }
}

}  // namespace
}  // namespace ctlsign::testing
