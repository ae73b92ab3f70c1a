// OpenSC's module on a card of ours, through the real pcscd; run by with_pcscd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ecdsa.h>

#include <future>
#include <optional>
#include <thread>

#include <pkcs11/error.hpp>
#include <pkcs11/session.hpp>
#include <sast/error.hpp>
#include <sast/identity.hpp>
#include <sast/public_key.hpp>
#include <sast/token_signer.hpp>
#include <tests/pcsc/reader_wait.hpp>
#include <tests/pcsc/virtual_card.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/counting_pins.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/wait_until.hpp>
#include <tests/support/watchdog.hpp>

namespace ctlsign::testing {
namespace {

using namespace std::chrono_literals;
namespace attribute = pkcs11::attribute;
using pkcs11::FinalTry;
using pkcs11::Mechanism;
using pkcs11::PinState;
using pkcs11::Recovery;
using pkcs11::Session;
using pkcs11::Token;
using sast::choose_identity;
using sast::TokenSigner;
using ::testing::AnyOf;
using ::testing::SizeIs;
using testing::wait_until;

constexpr const char* kFirst = "krakow/tokens/SAST-ADN0054f509";
constexpr const char* kSecond = "krakow/tokens/SAST-ADN008580ef";
constexpr const char* kRsa2048 = "krakow/regenerated/cucm-1051-a-pub";
const Bytes kMessage = {'a', 'b', 'c'};
// OpenSC's CKA_ID of the two keys.
const Bytes kAuthenticationId = {1}, kSignatureId = {2};

PivCard::Key key_of(const std::string& stem) {
    return {load_key(stem + ".key"), load_certificate(stem + ".pem")};
}

pkcs11::Pin pin(std::string text = PivCard::kPin) {
    return pkcs11::Pin::take(text);
}

class OpenSc : public ::testing::Test {
  protected:
    static std::shared_ptr<pkcs11::Module> open_module() { return pkcs11::Module::open("opensc-pkcs11.so"); }

    /// The token that is in, once it is the one with SERIAL (any when empty).
    static Token wait_for_token(const pkcs11::Module& module, const std::string& serial = {}) {
        std::vector<Token> tokens;
        wait_until([&] {
            tokens = module.tokens();
            return tokens.size() == 1 && (serial.empty() || tokens[0].info().serial == serial);
        });
        return tokens[0];
    }
    static void wait_until_empty(const pkcs11::Module& module) {
        wait_until([&] { return module.slots(pkcs11::Module::Slots::WithToken).empty(); });
    }
    /// Pulls CARD and gives pcscd alone the time to notice: C_GetSlotInfo would have OpenSC drop its
    /// sessions.
    static void pull_noticed(VirtualCard& card) {
        pkcs11::ReaderEvents readers;
        EXPECT_TRUE(wait_for(readers, Card::In));
        card.pull();
        EXPECT_TRUE(wait_for(readers, Card::Out));
    }

    /// A key with the session it belongs to, logged in.
    struct Open {
        explicit Open(const Token& token) : session(Session::open(token)) {
            session.login(pin(), FinalTry::Refuse);
            key = session
                      .find_objects(pkcs11::Template()
                                        .with<attribute::Class>(pkcs11::ObjectClass::PrivateKey)
                                        .with<attribute::Id>(kAuthenticationId))
                      .at(0);
        }
        Bytes sign() { return session.sign(Mechanism::Sha1RsaPkcs, key, kMessage, 128); }
        Session session;
        pkcs11::ObjectHandle key{};
    };

    static void expect_good(const Token& token, const std::string& stem) {
        CountingPins pins(PivCard::kPin);
        TokenSigner signer(choose_identity(token, std::nullopt, std::nullopt), pins);
        EXPECT_EQ(signer.facts().certificate, load_certificate(stem + ".pem"));
        const Bytes signature = signer.sign(Digest::Sha1, kMessage);
        auto key = sast::PublicKey::from_spki(load_certificate(stem + ".pem").spki_der());
        EXPECT_TRUE(key.verify(Digest::Sha1, {{kMessage}}, signature));
    }

    /// Another thread does what it can with the token, while this one waits: no mutex was left locked.
    static void expect_usable_elsewhere(const Token& token) {
        std::async(std::launch::async, [&] {
            token.module()->slots(pkcs11::Module::Slots::All);
            code_of([&] { Open(token).sign(); });
        }).get();
    }

    Watchdog watchdog_{120s};
};

TEST_F(OpenSc, ListsWhoCouldSign) {
    std::map<std::uint8_t, PivCard::Key> keys{{PivCard::kAuthentication, key_of(kRsa2048)},
                                              {PivCard::kSignature, key_of(kSecond)}};
    VirtualCard card(std::make_unique<PivCard>(std::uint8_t{7}, std::move(keys)));
    card.insert();
    const auto module = open_module();
    const Token token = wait_for_token(*module);
    EXPECT_TRUE(token.info().serial.ends_with("07")) << token.info().serial;
    EXPECT_EQ(token.info().pin, PinState::Good);
    EXPECT_TRUE(token.info().login_required);
    const auto identities = sast::list_identities(token);
    ASSERT_THAT(identities, SizeIs(2));
    EXPECT_EQ(identities[0].key_id, kAuthenticationId);
    EXPECT_EQ(identities[0].certificate, load_certificate(std::string(kRsa2048) + ".pem"));
    EXPECT_FALSE(identities[0].is_sast());
    EXPECT_EQ(identities[1].key_id, kSignatureId);
    EXPECT_TRUE(identities[1].is_sast());
    EXPECT_EQ(card.card().tries_left(), PivCard::kTries);
}

TEST_F(OpenSc, SignsTheGoldenList) {
    VirtualCard card(make_piv_card(1, kSecond));
    card.insert();
    const auto module = open_module();
    CountingPins pins(PivCard::kPin);
    TokenSigner signer(choose_identity(wait_for_token(*module), std::nullopt, std::nullopt), pins);
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(to_hex(signer.sign(Digest::Sha1, golden.message)), to_hex(golden.signature));
    EXPECT_EQ(pins.asked, 1);
}

TEST_F(OpenSc, SignsWithEachSizeAndDigest) {
    const auto module = open_module();
    std::uint8_t number = 0;
    for (const char* stem : {kFirst, kRsa2048}) {
        VirtualCard card(make_piv_card(++number, stem));
        card.insert();
        const Token token = wait_for_token(*module);
        CountingPins pins(PivCard::kPin);
        TokenSigner signer(choose_identity(token, std::nullopt, std::nullopt), pins);
        auto key = sast::PublicKey::from_spki(load_certificate(std::string(stem) + ".pem").spki_der());
        for (const Digest digest : {Digest::Sha1, Digest::Sha256, Digest::Sha512})
            EXPECT_TRUE(key.verify(digest, {{kMessage}}, signer.sign(digest, kMessage))) << stem;
        card.pull();
        wait_until_empty(*module);
    }
}

TEST_F(OpenSc, SignsWithP256) {
    const KeyPtr key = own_key(EVP_EC_gen("P-256"));
    const auto certificate = make_certificate(key, "P-256", 1);
    std::map<std::uint8_t, PivCard::Key> keys{{PivCard::kAuthentication, {key, certificate}}};
    VirtualCard card(std::make_unique<PivCard>(std::uint8_t{1}, std::move(keys)));
    card.insert();
    const auto module = open_module();
    const Token token = wait_for_token(*module);
    EXPECT_EQ(sast::list_identities(token).at(0).certificate, certificate);
    Open open(token);
    constexpr Mechanism kEcdsa{0x1041};
    const Bytes digest = compute_digest(Digest::Sha256, {{kMessage}});
    const Bytes pair = open.session.sign(kEcdsa, open.key, digest, 64);
    const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(ECDSA_SIG_new(), &ECDSA_SIG_free);
    ECDSA_SIG_set0(signature.get(), BN_bin2bn(pair.data(), 32, nullptr),
                   BN_bin2bn(pair.data() + 32, 32, nullptr));
    Bytes der(static_cast<std::size_t>(i2d_ECDSA_SIG(signature.get(), nullptr)));
    unsigned char* end = der.data();
    i2d_ECDSA_SIG(signature.get(), &end);
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
        EVP_PKEY_CTX_new(key.get(), nullptr), &EVP_PKEY_CTX_free);
    EVP_PKEY_verify_init(context.get());
    EXPECT_EQ(EVP_PKEY_verify(context.get(), der.data(), der.size(), digest.data(), digest.size()), 1);
}

TEST_F(OpenSc, TheSignatureKeyIsAnsweredWithThePinHeld) {
    std::map<std::uint8_t, PivCard::Key> keys{{PivCard::kSignature, key_of(kSecond)}};
    VirtualCard card(std::make_unique<PivCard>(std::uint8_t{1}, std::move(keys)));
    card.insert();
    const auto module = open_module();
    CountingPins pins(PivCard::kPin);
    TokenSigner signer(choose_identity(wait_for_token(*module), std::nullopt, std::nullopt), pins);
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(signer.sign(Digest::Sha1, golden.message), golden.signature);
    EXPECT_EQ(pins.asked, 1);
}

TEST_F(OpenSc, AWrongPinIsCountedDownAndTheFinalTryKept) {
    VirtualCard card(make_piv_card(1, kFirst));
    card.insert();
    const auto module = open_module();
    const Token token = wait_for_token(*module);
    const auto attempt = [&](const std::string& text, FinalTry final) {
        return code_of([&] { Session::open(token).login(pin(text), final); });
    };
    EXPECT_EQ(attempt("000000", FinalTry::Refuse), Recovery::pin_wrong);
    EXPECT_EQ(attempt("000001", FinalTry::Refuse), Recovery::pin_wrong);
    EXPECT_EQ(card.card().tries_left(), 1U);
    EXPECT_EQ(token.read_info().pin, PinState::FinalTry);
    EXPECT_EQ(attempt(PivCard::kPin, FinalTry::Refuse), pkcs11::Errc::FinalTryRefused);
    EXPECT_EQ(card.card().tries_left(), 1U) << "nothing was sent";
    EXPECT_EQ(attempt(PivCard::kPin, FinalTry::Spend), std::error_code{});
    EXPECT_EQ(card.card().tries_left(), PivCard::kTries);
}

TEST_F(OpenSc, TriesOutliveAPullAndALockedCardIsNotAsked) {
    VirtualCard card(make_piv_card(1, kFirst));
    card.insert();
    const auto module = open_module();
    Token token = wait_for_token(*module);
    EXPECT_EQ(code_of([&] { Session::open(token).login(pin("000000"), FinalTry::Refuse); }),
              Recovery::pin_wrong);
    card.pull();
    wait_until_empty(*module);
    card.insert();
    token = wait_for_token(*module);
    EXPECT_EQ(card.card().tries_left(), 2U);
    EXPECT_EQ(code_of([&] { Session::open(token).login(pin("000000"), FinalTry::Refuse); }),
              Recovery::pin_wrong);
    EXPECT_EQ(code_of([&] { Session::open(token).login(pin("000000"), FinalTry::Spend); }),
              Recovery::pin_locked);
    EXPECT_EQ(token.read_info().pin, PinState::Locked);
    EXPECT_EQ(code_of([&] { Session::open(token).login(pin(), FinalTry::Spend); }), Recovery::pin_locked);
    EXPECT_EQ(card.card().tries_left(), 0U);
}

TEST_F(OpenSc, APullThatWasNoticedIsATokenGone) {
    VirtualCard card(make_piv_card(1, kFirst));
    card.insert();
    const auto module = open_module();
    Open open(wait_for_token(*module));
    open.sign();
    pull_noticed(card);
    EXPECT_EQ(code_of([&] { open.sign(); }), Recovery::token_gone);
    expect_usable_elsewhere(open.session.token());
    EXPECT_EQ(code_of([&] { open.session.token().read_info(); }), Recovery::token_gone);
}

TEST_F(OpenSc, APullNotYetNoticedLocksNobodyOut) {
    const auto module = open_module();
    for (std::uint8_t i = 0; i < 5; ++i) {
        VirtualCard card(make_piv_card(i, kFirst));
        card.insert();
        const Token token = wait_for_token(*module);
        Open open(token);
        open.sign();
        card.pull();
        EXPECT_THAT(code_of([&] { open.sign(); }), AnyOf(Recovery::token_gone, Recovery::device_failed));
        expect_usable_elsewhere(open.session.token());
        wait_until_empty(*module);
    }
}

TEST_F(OpenSc, APullInTheMiddleOfASignatureLocksNobodyOut) {
    const auto module = open_module();
    for (std::uint8_t i = 0; i < 5; ++i) {
        VirtualCard card(make_piv_card(i, kFirst));
        card.insert();
        Open open(wait_for_token(*module));
        card.pull_in_signature();
        EXPECT_THAT(code_of([&] { open.sign(); }), AnyOf(Recovery::token_gone, Recovery::device_failed));
        EXPECT_TRUE(open.session.spent());
        expect_usable_elsewhere(open.session.token());
        card.pull();
        wait_until_empty(*module);
    }
}

TEST_F(OpenSc, SignsAgainWhenTheCardWasOutFor20ms) {
    VirtualCard card(make_piv_card(1, kFirst));
    card.insert();
    const auto module = open_module();
    const Token token = wait_for_token(*module);
    {
        Open open(token);
        open.sign();
        card.pull();
        std::this_thread::sleep_for(20ms);
        card.insert();
        EXPECT_THAT(code_of([&] { open.sign(); }), AnyOf(Recovery::login_needed, Recovery::token_gone,
                                                         Recovery::session_lost, Recovery::device_failed));
    }
    expect_usable_elsewhere(token);
    wait_until([&] { return !code_of([&] { Open(wait_for_token(*module)).sign(); }); });
    EXPECT_EQ(card.card().tries_left(), PivCard::kTries);
}

TEST_F(OpenSc, SignsAgainWhenTheCardWasOutFor5s) {
    VirtualCard card(make_piv_card(1, kFirst));
    card.insert();
    const auto module = open_module();
    const Token token = wait_for_token(*module);
    Open open(token);
    open.sign();
    card.pull();
    std::this_thread::sleep_for(5s);
    card.insert();
    expect_good(wait_for_token(*module, token.info().serial), kFirst);
    EXPECT_NE(code_of([&] { open.sign(); }), std::error_code{}) << "the old session is dead";
}

TEST_F(OpenSc, FindsTheCardInTheOtherReader) {
    VirtualCard card(make_piv_card(1, kFirst));
    card.insert(0);
    const auto module = open_module();
    const Token before = wait_for_token(*module);
    expect_good(before, kFirst);
    card.pull();
    card.insert(1);
    Token after = before;
    wait_until([&] { return (after = wait_for_token(*module)).slot() != before.slot(); });
    EXPECT_EQ(after.info().serial, before.info().serial);
    expect_good(after, kFirst);
}

TEST_F(OpenSc, AnotherCardIsAnotherToken) {
    VirtualCard first(make_piv_card(1, kFirst));
    VirtualCard second(make_piv_card(2, kSecond));
    first.insert();
    const auto module = open_module();
    const Token token = wait_for_token(*module);
    Open open(token);
    open.sign();
    pull_noticed(first);
    second.insert();
    EXPECT_NE(code_of([&] { open.sign(); }), std::error_code{});
    EXPECT_EQ(second.signatures(), 0U);
    Token other = token;
    wait_until([&] { return (other = wait_for_token(*module)).info().serial != token.info().serial; });
    expect_good(other, kSecond);
}

// When the cards change places before pcscd notices, OpenSC 0.23 goes on with the first one's name and signs
// with the second. The signer compares each signature with the certificate it was made for.
TEST_F(OpenSc, ACardSwappedUnnoticedSignsForNobody) {
    VirtualCard first(make_piv_card(1, kFirst));
    VirtualCard second(make_piv_card(2, kSecond));
    first.insert();
    const auto module = open_module();
    CountingPins pins(PivCard::kPin);
    std::optional<TokenSigner> signer(
        std::in_place, choose_identity(wait_for_token(*module), std::nullopt, std::nullopt), pins);
    const sast::Identity identity = signer->identity();
    signer->sign(Digest::Sha1, kMessage);
    first.pull();
    second.insert();
    std::error_code code;
    wait_until([&] {
        code = code_of([&] { signer->sign(Digest::Sha1, kMessage); });
        EXPECT_NE(code, std::error_code{});
        if (second.signatures() == 0) code_of([&] { signer.emplace(identity, pins); });
        return second.signatures() > 0 || ::testing::Test::HasFailure();
    });
    EXPECT_EQ(code, sast::Errc::WrongSignature);
}

TEST_F(OpenSc, ACardThatNeverAnswersHoldsUntilItIsPulled) {
    VirtualCard card(make_piv_card(1, kFirst));
    card.insert();
    const auto module = open_module();
    Open open(wait_for_token(*module));
    card.be_silent();
    auto signature = std::async(std::launch::async, [&] { return code_of([&] { open.sign(); }); });
    EXPECT_EQ(signature.wait_for(2s), std::future_status::timeout);
    card.pull();
    EXPECT_THAT(signature.get(), AnyOf(Recovery::token_gone, Recovery::device_failed));
    expect_usable_elsewhere(open.session.token());
}

}  // namespace
}  // namespace ctlsign::testing
