#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include <pkcs11/error.hpp>
#include <pkcs11/session.hpp>
#include <sast/identity.hpp>
#include <sast/token_signer.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/soft_tokens.hpp>

namespace ctlsign::sast {
namespace {

using pkcs11::Recovery;
using pkcs11::Uri;
using ::testing::AllOf;
using testing::code_of;
using testing::CountingPins;
using ::testing::HasSubstr;
using testing::read_golden;
using testing::SoftTokens;

constexpr const char* kFirst = "krakow/tokens/SAST-ADN0054f509";
constexpr const char* kSecond = "krakow/tokens/SAST-ADN008580ef";
constexpr const char* kPublisher = "krakow/certificates/cucm-1051-a-pub";

Identity only_identity(const pkcs11::Module& module) {
    const auto tokens = module.tokens();
    EXPECT_EQ(tokens.size(), 1U);
    return choose_identity(tokens.at(0), std::nullopt, std::nullopt);
}

TEST(TokenSigner, EveryWayGivesTheGoldenSignature) {
    // What the token offers decides the way; RSASSA-PKCS1-v1_5 is deterministic, so all ways give the same
    // octets.
    const std::vector<std::vector<std::string>> offers = {
        {"CKM_SHA1_RSA_PKCS", "CKM_RSA_PKCS", "CKM_RSA_X_509"}, {"CKM_RSA_PKCS"}, {"CKM_RSA_X_509"}};
    const std::vector<pkcs11::Mechanism> expected = {pkcs11::Mechanism::Sha1RsaPkcs,
                                                     pkcs11::Mechanism::RsaPkcs, pkcs11::Mechanism::RsaX509};
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    for (std::size_t i = 0; i < offers.size(); ++i) {
        SoftTokens tokens;
        tokens.add("A", "plain-softhsm", kSecond);
        tokens.offer_only(offers[i]);
        const auto module = tokens.open();
        CountingPins pins(tokens.pin());
        TokenSigner signer(only_identity(*module), pins);
        EXPECT_EQ(signer.facts().signature_length, 128U);
        EXPECT_EQ(signer.plan(Digest::Sha1).steps.front().mechanism, expected[i]);
        EXPECT_EQ(pins.asked, 0) << "facts and plan need no PIN";
        EXPECT_EQ(to_hex(signer.sign(Digest::Sha1, golden.message)), to_hex(golden.signature)) << i;
        EXPECT_EQ(to_hex(signer.sign(Digest::Sha1, golden.message)), to_hex(golden.signature)) << i;
        EXPECT_EQ(pins.asked, 1);
    }
}

TEST(TokenSigner, TheKeyOfAnHsmSignsTokenlessWithSha512) {
    SoftTokens tokens;
    tokens.add("hsm", "publisher-hsm", kPublisher);
    const auto module = tokens.open();
    CountingPins pins(tokens.pin());
    TokenSigner signer(only_identity(*module), pins);
    for (const auto& [file, digest] : {std::pair{"krakow/CTLFile-tokenless.tlv", Digest::Sha1},
                                       std::pair{"krakow/CTLFile-tokenless-sha512.tlv", Digest::Sha512}}) {
        const auto golden = read_golden(file);
        EXPECT_EQ(to_hex(signer.sign(digest, golden.message)), to_hex(golden.signature)) << file;
    }
}

TEST(TokenSigner, NoMechanismIsSaidBeforeAPinIsAskedFor) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    tokens.offer_only({"CKM_SHA256_RSA_PKCS"});
    const auto module = tokens.open();
    CountingPins pins(tokens.pin());
    TokenSigner signer(only_identity(*module), pins);
    EXPECT_EQ(code_of([&] { signer.sign(Digest::Sha1, {}); }), pkcs11::Errc::NoMechanism);
    EXPECT_EQ(pins.asked, 0);
}

TEST(TokenSigner, AWrongPinIsSentOnce) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    const auto module = tokens.open();
    CountingPins pins("not the PIN");
    TokenSigner signer(only_identity(*module), pins);
    EXPECT_EQ(code_of([&] { signer.sign(Digest::Sha1, {}); }), Recovery::pin_wrong);
    EXPECT_EQ(pins.asked, 1);
    EXPECT_THAT(pins.last_subject, HasSubstr("token A (serial "));
}

TEST(TokenSigner, ALoginIsTheTokensNotTheSessions) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    const auto module = tokens.open();
    CountingPins pins(tokens.pin());
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    TokenSigner first(only_identity(*module), pins);
    first.unlock();
    {
        TokenSigner second(only_identity(*module), pins);
        EXPECT_EQ(second.sign(Digest::Sha1, golden.message), golden.signature);
    }
    EXPECT_EQ(pins.asked, 1) << "the token was open already";
    EXPECT_EQ(first.sign(Digest::Sha1, golden.message), golden.signature)
        << "and stays so when the second signer goes";
}

TEST(Session, LogoutWaitsForTheLastLogin) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    const auto module = tokens.open();
    const auto token = module->tokens().at(0);
    auto a = pkcs11::Session::open(token);
    auto b = pkcs11::Session::open(token);
    std::string text = tokens.pin();
    const auto pin = pkcs11::Pin::take(text);
    EXPECT_EQ(a.login(pin, pkcs11::FinalTry::Refuse), pkcs11::LoginResult::LoggedIn);
    EXPECT_EQ(b.login(pin, pkcs11::FinalTry::Refuse), pkcs11::LoginResult::AlreadyLoggedIn);
    a.logout();
    EXPECT_TRUE(b.logged_in());
    b.logout();
    EXPECT_FALSE(a.logged_in());
    a.close();
    EXPECT_THROW(a.close(), Error);
}

TEST(Identity, OneTokenIsChosenBeforeAnyLogin) {
    SoftTokens tokens;
    const auto made_a = tokens.add("SAST-ADN0054f509", "etoken-pro-64k", kFirst);
    const auto made_b = tokens.add("SAST-ADN008580ef", "etoken-pro-64k", kSecond);
    const auto module = tokens.open();
    const auto all = list_tokens({{module}});
    ASSERT_EQ(all.size(), 2U);
    for (const auto& made : {made_a, made_b}) {
        const auto by_label = choose_token(all, Uri::parse("pkcs11:token=" + made.label));
        EXPECT_EQ(by_label.info().serial, made.serial);
        const auto by_serial = choose_token(all, Uri::parse("pkcs11:serial=" + made.serial));
        EXPECT_EQ(by_serial.info().label, made.label);
        EXPECT_EQ(choose_token(all, Uri::of(by_label)).info().serial, made.serial);
        const auto identity = choose_identity(by_label, std::nullopt, std::nullopt);
        EXPECT_EQ(identity.certificate, made.certificates.at(0));
        EXPECT_EQ(identity.evidence, KeyEvidence::Seen);
        EXPECT_TRUE(identity.is_sast());
    }
    for (const auto& uri : {std::optional<Uri>{}, std::optional(Uri::parse("pkcs11:model=SoftHSM%20v2"))}) {
        try {
            choose_token(all, uri);
            ADD_FAILURE();
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::SeveralTokens);
            EXPECT_THAT(e.what(), AllOf(HasSubstr(made_a.serial), HasSubstr(made_b.serial),
                                        HasSubstr(made_a.label), HasSubstr("in slot ")));
        }
    }
    EXPECT_EQ(code_of([&] { choose_token(all, Uri::parse("pkcs11:token=other")); }), Errc::NoToken);
    EXPECT_EQ(code_of([&] { choose_token(all, Uri::parse("pkcs11:unheard-of=x")); }), Errc::NoToken);
}

TEST(Identity, ACertificateFromAFileStandsIn) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond, softhsm::CertificateObject::LeftOut);
    const auto module = tokens.open();
    const auto token = module->tokens().at(0);
    EXPECT_EQ(code_of([&] { choose_identity(token, std::nullopt, std::nullopt); }), Errc::NoCertificate);
    EXPECT_EQ(code_of([&] {
                  choose_identity(token, std::nullopt,
                                  testing::load_certificate(std::string(kFirst) + ".pem"));
              }),
              Errc::KeyMismatch);
    CountingPins pins(tokens.pin());
    TokenSigner signer(
        choose_identity(token, std::nullopt, testing::load_certificate(std::string(kSecond) + ".pem")), pins);
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    EXPECT_EQ(signer.sign(Digest::Sha1, golden.message), golden.signature);
}

TEST(Identity, SeveralKeysAreAskedAbout) {
    SoftTokens tokens;
    const auto profile = softhsm::load_profile("plain-softhsm");
    std::vector<softhsm::Key> keys(2);
    for (const auto& [key, stem] : {std::pair(&keys[0], kFirst), std::pair(&keys[1], kSecond)}) {
        key->pem = testing::read_text(std::string(stem) + ".key");
        key->certificate = testing::load_certificate(std::string(stem) + ".pem");
    }
    const auto made = softhsm::provision_token(tokens.folder().path(), "A", profile, keys);
    setenv("SOFTHSM2_CONF", made.configuration.c_str(), 1);
    const auto module = tokens.open();
    const auto token = module->tokens().at(0);
    EXPECT_EQ(code_of([&] { choose_identity(token, std::nullopt, std::nullopt); }), Errc::SeveralKeys);
    EXPECT_EQ(choose_identity(token, std::nullopt, keys[1].certificate).certificate, *keys[1].certificate);
}

TEST(Identity, OtherKeySizesAreRefusedBeforeAPin) {
    SoftTokens tokens;
    const auto profile = softhsm::load_profile("plain-softhsm");
    softhsm::Key key;
    key.bits = 3072;
    const auto made = softhsm::provision_token(tokens.folder().path(), "A", profile, {&key, 1});
    setenv("SOFTHSM2_CONF", made.configuration.c_str(), 1);
    const auto module = tokens.open();
    CountingPins pins(profile.pin.user);
    EXPECT_EQ(code_of([&] { TokenSigner(only_identity(*module), pins); }), Errc::UnsupportedKey);
    EXPECT_EQ(pins.asked, 0);
}

TEST(TokenSigner, AKeyThatAsksEachTimeIsAnsweredWithThePinHeld) {
    SoftTokens tokens;
    tokens.add("A", "etoken-5110-cc", kPublisher);
    const auto module = tokens.open();
    CountingPins pins(tokens.pin());
    TokenSigner signer(only_identity(*module), pins);
    const auto golden = read_golden("krakow/CTLFile-tokenless.tlv");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(signer.sign(Digest::Sha1, golden.message), golden.signature);
    EXPECT_EQ(pins.asked, 1);
}

TEST(Module, IsOneInTheProcess) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    auto first = tokens.open();
    const auto second = tokens.open();
    EXPECT_EQ(first, second);
    first.reset();
    EXPECT_EQ(second->tokens().size(), 1U) << "its last user has not gone";
    EXPECT_EQ(code_of([] { pkcs11::Module::open("/absent/module.so"); }), pkcs11::Errc::ModuleNotLoaded);
}

TEST(Module, ComesBackAfterItsLastUserWent) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    const auto token = tokens.open()->tokens().at(0);
    auto session = pkcs11::Session::open(token);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(tokens.open()->tokens().size(), 1U);
    EXPECT_TRUE(session.find_objects({}).size() >= 2) << "a session keeps its module";
}

TEST(Module, AForkedChildOpensAnewAndTheParentGoesOn) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    const auto module = tokens.open();
    CountingPins pins(tokens.pin());
    TokenSigner signer(only_identity(*module), pins);
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    EXPECT_EQ(signer.sign(Digest::Sha1, golden.message), golden.signature);
    const pid_t child = fork();
    if (child == 0) {
        int failures = 0;
        try {
            if (signer.sign(Digest::Sha1, golden.message) != golden.signature) failures |= 1;
            CountingPins again(tokens.pin());
            TokenSigner anew(only_identity(*module), again);
            if (anew.sign(Digest::Sha1, golden.message) != golden.signature) failures |= 2;
        } catch (const std::exception& e) {
            fprintf(stderr, "child: %s\n", e.what());
            failures |= 8;
        }
        _exit(failures);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_EQ(signer.sign(Digest::Sha1, golden.message), golden.signature);
    EXPECT_EQ(pins.asked, 1);
}

TEST(Session, DoesNotCrossAFork) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    const auto session = pkcs11::Session::open(tokens.open()->tokens().at(0));
    const pid_t child = fork();
    if (child == 0) _exit(code_of([&] { session.find_objects({}); }) == pkcs11::Errc::Forked ? 0 : 1);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_FALSE(session.find_objects({}).empty());
}

TEST(TokenSigner, SignersOfOneTokenWorkInSeveralThreads) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kSecond);
    const auto module = tokens.open();
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    std::atomic<int> good = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            CountingPins pins(tokens.pin());
            TokenSigner signer(only_identity(*module), pins);
            for (int i = 0; i < 25; ++i)
                good += signer.sign(Digest::Sha1, golden.message) == golden.signature ? 1 : 0;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(good, 100);
}

}  // namespace
}  // namespace ctlsign::sast
