#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <bindings/openssl/issue.hpp>
#include <bindings/openssl/token_key.hpp>
#include <sast/identity.hpp>
#include <sast/public_key.hpp>
#include <sast/subject.hpp>
#include <sast/token_signer.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/soft_tokens.hpp>
#include <tests/support/watchdog.hpp>

namespace ctlsign::openssl {
namespace {

using testing::CountingPins;
using testing::SoftTokens;

constexpr const char* kToken = "krakow/tokens/SAST-ADN008580ef";

pkcs11::Session logged_in(const pkcs11::Token& token, std::string pin) {
    auto session = pkcs11::Session::open(token);
    session.login(pkcs11::Pin::take(pin), pkcs11::FinalTry::Refuse);
    return session;
}

TEST(TokenKey, SignsAsOpenSslDoesAndLeavesTheModuleAlone) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kToken);
    const auto module = tokens.open();
    const auto identity = sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt);
    const auto golden = testing::read_golden("krakow/CTLFile-tokens.tlv");
    CountingPins pins(tokens.pin());
    sast::TokenSigner signer(identity, pins);
    EXPECT_EQ(signer.sign(Digest::Sha1, golden.message), golden.signature);
    for (int i = 0; i < 3; ++i) {
        const TokenKey key(pkcs11::Session::open(identity.token), identity.key_id);
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                              &EVP_MD_CTX_free);
        std::size_t size = 256;
        Bytes signature(size);
        ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha1(), nullptr, key.get()), 1);
        ASSERT_EQ(EVP_DigestSign(context.get(), signature.data(), &size, golden.message.data(),
                                 golden.message.size()),
                  1);
        signature.resize(size);
        EXPECT_EQ(signature, golden.signature);
    }
    EXPECT_EQ(signer.sign(Digest::Sha1, golden.message), golden.signature)
        << "libp11 came and went three times, and has neither finalized the module nor closed this session";
    EXPECT_EQ(pins.asked, 1);
}

TEST(TokenKey, HoldsModuleAndSession) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kToken);
    auto module = tokens.open();
    const std::weak_ptr<pkcs11::Module> known = module;
    auto identity = std::optional(sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt));
    auto key = std::make_unique<TokenKey>(logged_in(identity->token, tokens.pin()), identity->key_id);
    module.reset();
    identity.reset();
    const Bytes request = make_certificate_request(
        *key, "CN=SAST-ADN008580ef,OU=IPCBU,O=Cisco Systems\\, Inc.", Digest::Sha256);
    ASSERT_EQ(EVP_PKEY_up_ref(key->get()), 1);
    KeyPtr held(key->get());  // as SSL_CTX_use_PrivateKey does
    key.reset();
    EXPECT_FALSE(known.expired());
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    Bytes signature(256);
    std::size_t size = signature.size();
    ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, held.get()), 1);
    EXPECT_EQ(EVP_DigestSign(context.get(), signature.data(), &size, request.data(), request.size()), 1);
    held.reset();
    EVP_MD_CTX_reset(context.get());
    EXPECT_TRUE(known.expired()) << "the last holder let go";
    const unsigned char* at = request.data();
    const std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)> decoded(
        d2i_X509_REQ(nullptr, &at, static_cast<long>(request.size())), &X509_REQ_free);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(X509_REQ_verify(decoded.get(), X509_REQ_get0_pubkey(decoded.get())), 1);
}

// A handshake within this process. Gives the protocol's version, or nothing when it fails.
std::optional<std::string> shake_hands(const sast::Certificate& certificate, EVP_PKEY* key, int version) {
    using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
    using Connection = std::unique_ptr<SSL, decltype(&SSL_free)>;
    const Context server_context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
    const Context client_context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
    const ByteView der = certificate.der();
    if (SSL_CTX_use_certificate_ASN1(server_context.get(), static_cast<int>(der.size()), der.data()) != 1 ||
        SSL_CTX_use_PrivateKey(server_context.get(), key) != 1 ||
        SSL_CTX_set_max_proto_version(server_context.get(), version) != 1)
        return std::nullopt;
    const Connection server(SSL_new(server_context.get()), &SSL_free);
    const Connection client(SSL_new(client_context.get()), &SSL_free);
    BIO *to_server = nullptr, *to_client = nullptr;
    if (BIO_new_bio_pair(&to_server, 0, &to_client, 0) != 1) return std::nullopt;
    SSL_set_bio(server.get(), to_client, to_client);
    SSL_set_bio(client.get(), to_server, to_server);
    SSL_set_accept_state(server.get());
    SSL_set_connect_state(client.get());
    const auto goes_on = [](SSL* side) {
        const int done = SSL_do_handshake(side);
        return done == 1 || SSL_get_error(side, done) == SSL_ERROR_WANT_READ;
    };
    while (SSL_is_init_finished(client.get()) == 0 || SSL_is_init_finished(server.get()) == 0)
        if (!goes_on(client.get()) || !goes_on(server.get())) return std::nullopt;
    return SSL_get_version(client.get());
}

TEST(TokenKey, ServesTls) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", "krakow/regenerated/cucm-1051-a-pub");
    const auto module = tokens.open();
    const auto identity = sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt);
    const TokenKey key(logged_in(identity.token, tokens.pin()), identity.key_id);
    EXPECT_EQ(shake_hands(identity.certificate, key.get(), TLS1_3_VERSION), "TLSv1.3");
    EXPECT_EQ(shake_hands(identity.certificate, key.get(), TLS1_2_VERSION), "TLSv1.2");
}

TEST(TokenKey, EndsWhenItsTokenIsPulledAndAnotherOneServes) {
    testing::VirtualToken token("plain-softhsm", "A");
    const auto module = pkcs11::Module::open(testing::VirtualToken::module());
    const auto make = [&] {
        const auto identity = sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt);
        return TokenKey(logged_in(identity.token, token.pin()), identity.key_id);
    };
    const auto request = [](const TokenKey& key) {
        return make_certificate_request(key, "CN=A", Digest::Sha256);
    };
    const TokenKey before = make();
    EXPECT_FALSE(request(before).empty());
    token.unplug();
    try {
        (void)request(before);
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_TRUE(e.advice().starts_with("the token's key did not sign: ")) << e.advice();
    }
    token.plug();
    EXPECT_THROW((void)request(before), Error);
    EXPECT_FALSE(request(make()).empty());
}

#ifndef CTLSIGN_INSTRUMENTED  // p11-kit's program cannot load a module that is
TEST(TokenKey, AnIsolatedModuleThatHangsOrCrashesCostsAnError) {
    const testing::Watchdog watchdog(std::chrono::seconds(120));
    for (const char* fault : {"on C_Sign hang", "on C_Sign crash"}) {
        testing::VirtualToken token("plain-softhsm", "A");
        const auto module =
            pkcs11::Module::open_isolated(testing::VirtualToken::module(), {std::chrono::seconds(5)});
        const auto identity = sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt);
        const TokenKey key(logged_in(identity.token, token.pin()), identity.key_id);
        token.fault(fault);
        try {
            (void)make_certificate_request(key, "CN=A", Digest::Sha256);
            ADD_FAILURE() << fault;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), pkcs11::Errc::ModuleEnded) << fault << ": " << e.what();
        }
    }  // libp11 closes its sessions, and nobody is there
}
#endif

TEST(TokenKey, AnotherIdIsNoKey) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kToken);
    const auto module = tokens.open();
    try {
        const TokenKey key(logged_in(module->tokens().at(0), tokens.pin()), Bytes{0x42});
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), sast::Errc::NoKey);
    }
    EXPECT_EQ(module->tokens().size(), 1U);
}

TEST(Issue, SelfSignedAndByAnIssuer) {
    SoftTokens tokens;
    tokens.add("A", "plain-softhsm", kToken);
    const auto module = tokens.open();
    const auto identity = sast::choose_identity(module->tokens().at(0), std::nullopt, std::nullopt);
    const TokenKey key(logged_in(identity.token, tokens.pin()), identity.key_id);
    const CertificateTerms terms{"CN=SAST-ADN1,O=Test", 1'700'000'000, 2'000'000'000, Digest::Sha256};

    const auto own = issue_self_signed(key, terms);
    EXPECT_EQ(own.subject_text(), own.issuer_text());
    EXPECT_TRUE(equal(own.subject_der(), sast::encode_subject(terms.subject)));
    EXPECT_TRUE(equal(own.public_key(), identity.certificate.public_key()));
    EXPECT_EQ(own.not_before(), terms.not_before);
    EXPECT_EQ(own.not_after(), terms.not_after);
    EXPECT_EQ(own.serial().size(), 10U);

    const Bytes request = make_certificate_request(key, terms.subject, Digest::Sha1);
    const std::string issuer_pem = testing::read_text("krakow/tokens/test-manufacturing-ca.pem") +
                                   testing::read_text("krakow/tokens/test-manufacturing-ca.key");
    const Issuer issuer = Issuer::decode_pem(issuer_pem);
    const auto issued = issuer.issue(request, terms);
    EXPECT_EQ(issued.issuer_text(),
              testing::load_certificate("krakow/tokens/test-manufacturing-ca.pem").subject_text());
    EXPECT_TRUE(equal(issued.public_key(), identity.certificate.public_key()));

    Bytes forged = request;
    forged.back() = static_cast<std::uint8_t>(forged.back() ^ 1U);
    EXPECT_THROW((void)issuer.issue(forged, terms), Error);
    const std::string certificate = testing::read_text("krakow/tokens/test-manufacturing-ca.pem");
    const std::string key_pem = testing::read_text("krakow/tokens/test-manufacturing-ca.key");
    const std::pair<std::string, sast::Errc> refused[] = {
        {"", sast::Errc::MalformedKey},
        {certificate, sast::Errc::MalformedKey},
        {key_pem, sast::Errc::MalformedCertificate},
        {testing::read_text("krakow/tokens/SAST-ADN008580ef.pem") + key_pem, sast::Errc::KeyMismatch},
    };
    for (const auto& [pem, code] : refused) {
        try {
            Issuer::decode_pem(pem);
            ADD_FAILURE() << pem;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), code) << e.what();
        }
    }
}

TEST(Subject, IsWrittenInTheOrderGiven) {
    for (const char* bad : {"", "CN", "CN=", "=x", "NOSUCHTYPE=x", "CN=a,,O=b"}) {
        EXPECT_THROW(sast::encode_subject(bad), Error) << bad;
    }
    EXPECT_NE(sast::encode_subject("CN=a,O=b"), sast::encode_subject("O=b,CN=a"));
}

}  // namespace
}  // namespace ctlsign::openssl
