#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <new>

#include <pkcs11/digest.hpp>
#include <sast/error.hpp>
#include <sast/public_key.hpp>
#include <softhsm-profiles/child.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/provision.hpp>
#include <softhsm-profiles/self_signed.hpp>
#include <softhsm-profiles/softhsm_module.hpp>
#include <tests/support/certificates.hpp>
#include <tests/support/cryptoki.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/soft_tokens.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::softhsm {
namespace {

using testing::Cryptoki;
using testing::load_certificate;
using testing::read_golden;
using testing::read_text;
using testing::restrict_mechanisms;
using testing::TemporaryFolder;

Key import_key(const std::string& stem) {
    Key key;
    key.pem = read_text(stem + ".key");
    key.certificate = load_certificate(stem + ".pem");
    return key;
}

constexpr const char* kToken = "krakow/tokens/SAST-ADN008580ef";

// One token of one folder, with SoftHSM2 open on it.
class Opened {
  public:
    Opened(const Provisioned& made, const std::string& pin)
        : cryptoki(find_softhsm_module(), made.configuration.string()) {
        slot = cryptoki.tokens().at(0);
        session = cryptoki.open(slot);
        Cryptoki::must(cryptoki.login(session, pin), "C_Login");
        private_key = cryptoki.find(session, CKO_PRIVATE_KEY).at(0);
    }
    Cryptoki cryptoki;
    CK_SLOT_ID slot = 0;
    CK_SESSION_HANDLE session = 0;
    CK_OBJECT_HANDLE private_key = 0;
};

TEST(SelfSigned, WhatOpensslRefusesIsToldWithItsReason) {
    try {
        make_self_signed("CN=A", Bytes{1, 2, 3}, [](ByteView) { return Bytes{}; });
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), std::errc::operation_not_supported);
        EXPECT_NE(e.advice(), "OpenSSL says no reason");
    }
}

TEST(Child, OneThatDiesIsSaid) {
    for (const std::function<Bytes()>& work :
         {std::function<Bytes()>([]() -> Bytes { _exit(3); }), std::function<Bytes()>([]() -> Bytes {
              raise(SIGKILL);
              return {};
          }),
          std::function<Bytes()>([]() -> Bytes { throw std::bad_alloc(); })}) {
        try {
            run_in_child(work);
            FAIL();
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::ProvisioningDied) << e.what();
        }
    }
}

TEST(Provision, AnImportedKeySignsTheGoldenFiles) {
    struct Row {
        const char *file, *key, *profile;
        CK_MECHANISM_TYPE mechanism;
    };
    const Row rows[] = {
        {"krakow/CTLFile-tokens.tlv", kToken, "etoken-pro-64k", CKM_SHA1_RSA_PKCS},
        {"krakow/CTLFile-tokenless.tlv", "krakow/certificates/cucm-1051-a-pub", "publisher-hsm",
         CKM_SHA1_RSA_PKCS},
        {"krakow/CTLFile-tokenless-sha512.tlv", "krakow/certificates/cucm-1051-a-pub", "publisher-hsm",
         CKM_SHA512_RSA_PKCS},
    };
    for (const Row& row : rows) {
        const TemporaryFolder folder;
        const Profile profile = load_profile(row.profile);
        const Key key = import_key(row.key);
        const Opened token(provision_token(folder / "softhsm", "A", profile, {&key, 1}), profile.pin.user);
        const auto golden = read_golden(row.file);
        ASSERT_EQ(token.cryptoki.sign_init(token.session, row.mechanism, token.private_key), CKR_OK);
        EXPECT_EQ(to_hex(token.cryptoki.sign(token.session, golden.message)), to_hex(golden.signature))
            << row.file;
    }
}

TEST(Provision, ATokenThatOffersOneMechanismSignsTheSame) {
    const Profile profile = load_profile("plain-softhsm");
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    const ByteView message[] = {golden.message};
    // RFC 8017, 9.2: DigestInfo of SHA-1, and its padding to 128 octets.
    Bytes digest_info = from_hex("3021300906052B0E03021A05000414");
    std::ranges::copy(compute_digest(Digest::Sha1, message), std::back_inserter(digest_info));
    Bytes padded{0x00, 0x01};
    padded.resize(128 - digest_info.size() - 1, 0xFF);
    padded.push_back(0x00);
    std::ranges::copy(digest_info, std::back_inserter(padded));

    struct Row {
        const char* name;
        CK_MECHANISM_TYPE type;
        Bytes data;
    };
    for (const Row& row :
         {Row{"CKM_RSA_PKCS", CKM_RSA_PKCS, digest_info}, Row{"CKM_RSA_X_509", CKM_RSA_X_509, padded}}) {
        const TemporaryFolder folder;
        const Key key = import_key(kToken);
        const Provisioned made = provision_token(folder.path(), "A", profile, {&key, 1});
        restrict_mechanisms(folder.path(), {row.name});
        const Opened token(made, profile.pin.user);
        CK_ULONG count = 0;
        Cryptoki::must(token.cryptoki->C_GetMechanismList(token.slot, nullptr, &count), "C_GetMechanismList");
        EXPECT_EQ(count, 1U);
        EXPECT_EQ(token.cryptoki.sign_init(token.session, CKM_SHA1_RSA_PKCS, token.private_key),
                  CKR_MECHANISM_INVALID);
        ASSERT_EQ(token.cryptoki.sign_init(token.session, row.type, token.private_key), CKR_OK);
        EXPECT_EQ(token.cryptoki.sign(token.session, row.data), golden.signature) << row.name;
    }
}

TEST(Provision, ObjectsBelongTogether) {
    const TemporaryFolder folder;
    const Profile profile = load_profile("etoken-pro-64k");
    Key key = import_key(kToken);
    key.label = "signing key";
    const Provisioned made = provision_token(folder.path(), "SAST-ADN008580ef", profile, {&key, 1});
    EXPECT_EQ(made.label, "SAST-ADN008580ef");
    ASSERT_EQ(made.certificates.size(), 1U);
    EXPECT_EQ(made.certificates.at(0), *key.certificate);

    const Cryptoki cryptoki(find_softhsm_module(), made.configuration.string());
    ASSERT_EQ(cryptoki.tokens().size(), 1U);
    const CK_TOKEN_INFO info = cryptoki.info(cryptoki.tokens().at(0));
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(info.label), 32), "SAST-ADN008580ef                ");
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(info.serialNumber), 16), made.serial);
    EXPECT_NE(info.flags & CKF_USER_PIN_INITIALIZED, 0U);

    const CK_SESSION_HANDLE session = cryptoki.open(cryptoki.tokens().at(0));
    EXPECT_TRUE(cryptoki.find(session, CKO_PRIVATE_KEY).empty()) << "a private key is private";
    const auto certificates = cryptoki.find(session, CKO_CERTIFICATE);
    const auto public_keys = cryptoki.find(session, CKO_PUBLIC_KEY);
    ASSERT_EQ(certificates.size(), 1U);
    ASSERT_EQ(public_keys.size(), 1U);
    ASSERT_EQ(cryptoki.login(session, profile.pin.user), CKR_OK);
    const auto private_keys = cryptoki.find(session, CKO_PRIVATE_KEY);
    ASSERT_EQ(private_keys.size(), 1U);

    const ByteView public_key[] = {key.certificate->public_key()};
    const Bytes id = compute_digest(Digest::Sha1, public_key);
    for (const CK_OBJECT_HANDLE object : {certificates[0], public_keys[0], private_keys[0]}) {
        EXPECT_EQ(cryptoki.get(session, object, CKA_ID), id);
        EXPECT_EQ(as_text(cryptoki.get(session, object, CKA_LABEL)), "signing key");
        EXPECT_TRUE(equal(cryptoki.get(session, object, CKA_SUBJECT), key.certificate->subject_der()));
    }
    EXPECT_TRUE(equal(cryptoki.get(session, certificates[0], CKA_VALUE), key.certificate->der()));
    EXPECT_TRUE(equal(cryptoki.get(session, certificates[0], CKA_ISSUER), key.certificate->issuer_der()));
    EXPECT_EQ(to_hex(cryptoki.get(session, certificates[0], CKA_SERIAL_NUMBER)), "020A31AF455500000008E983");
    EXPECT_EQ(cryptoki.get(session, private_keys[0], CKA_SENSITIVE), Bytes{CK_TRUE});
    EXPECT_EQ(cryptoki.get(session, private_keys[0], CKA_EXTRACTABLE), Bytes{CK_FALSE});
    EXPECT_EQ(cryptoki.get(session, private_keys[0], CKA_SIGN), Bytes{CK_TRUE});
}

TEST(Provision, AKeyMadeOnTheTokenHasItsCertificate) {
    const TemporaryFolder folder;
    const Profile profile = load_profile("etoken-5110-cc");
    Key key;
    key.bits = 1024;
    key.subject = "CN={name},OU=IPCBU,O=Company\\, Inc.";
    const Provisioned made = provision_token(folder.path(), "SAST-1", profile, {&key, 1});
    const sast::Certificate& certificate = made.certificates.at(0);
    EXPECT_EQ(certificate.key_bits(), 1024U);
    EXPECT_EQ(certificate.common_name(), "SAST-1");
    EXPECT_EQ(certificate.subject_text(), "O=Company\\, Inc.,OU=IPCBU,CN=SAST-1");
    EXPECT_TRUE(equal(certificate.issuer_der(), certificate.subject_der()));

    const Opened token(made, profile.pin.user);
    const Bytes message{1, 2, 3};
    const ByteView parts[] = {message};
    ASSERT_EQ(token.cryptoki.sign_init(token.session, CKM_SHA256_RSA_PKCS, token.private_key), CKR_OK);
    ASSERT_EQ(token.cryptoki.login(token.session, profile.pin.user, CKU_CONTEXT_SPECIFIC), CKR_OK);
    const Bytes signature = token.cryptoki.sign(token.session, message);
    EXPECT_TRUE(sast::PublicKey::from_rsa(certificate.public_key()).verify(Digest::Sha256, parts, signature));
    EXPECT_EQ(token.cryptoki.get(token.session, token.private_key, CKA_ALWAYS_AUTHENTICATE), Bytes{CK_TRUE});
}

TEST(Provision, SelfSignedCertificatesVerifyWithTheirOwnKey) {
    const TemporaryFolder folder;
    const Provisioned made =
        provision_token(folder.path(), "A", load_profile("publisher-hsm"), std::vector<Key>(1));
    const sast::Certificate& certificate = made.certificates.at(0);
    EXPECT_EQ(certificate.key_bits(), 2048U);
    // The signed part is the first element of the certificate: a head of four octets, then a long one of its
    // own.
    const ByteView der = certificate.der();
    const std::size_t size = 4 + der[6] * 256U + der[7];
    const ByteView signed_part[] = {der.subspan(4, size)};
    EXPECT_TRUE(sast::PublicKey::from_spki(certificate.spki_der())
                    .verify(Digest::Sha256, signed_part, certificate.signature()));
}

TEST(Provision, HiddenOrLeftOutCertificatesAndAllowedMechanisms) {
    Profile profile = load_profile("plain-softhsm");
    profile.behaviour.certificates_hidden = true;
    profile.key.allowed_mechanisms = {"CKM_SHA256_RSA_PKCS"};
    const TemporaryFolder folder;
    Key keys[2] = {import_key(kToken), import_key("krakow/tokens/SAST-ADN0054f509")};
    keys[1].certificate_object = CertificateObject::LeftOut;
    const Provisioned made = provision_token(folder.path(), "A", profile, keys);
    EXPECT_EQ(made.certificates.size(), 2U);
    const Cryptoki cryptoki(find_softhsm_module(), made.configuration.string());
    const CK_SESSION_HANDLE session = cryptoki.open(cryptoki.tokens().at(0));
    EXPECT_TRUE(cryptoki.find(session, CKO_CERTIFICATE).empty());
    ASSERT_EQ(cryptoki.login(session, profile.pin.user), CKR_OK);
    EXPECT_EQ(cryptoki.find(session, CKO_CERTIFICATE).size(), 1U);
    const auto private_keys = cryptoki.find(session, CKO_PRIVATE_KEY);
    EXPECT_EQ(private_keys.size(), 2U);
    EXPECT_EQ(cryptoki.sign_init(session, CKM_SHA1_RSA_PKCS, private_keys.at(0)), CKR_MECHANISM_INVALID);
    EXPECT_EQ(cryptoki.sign_init(session, CKM_SHA256_RSA_PKCS, private_keys.at(0)), CKR_OK);
}

TEST(Provision, AnEmptyTokenCanBeMade) {
    const TemporaryFolder folder;
    const Provisioned made = provision_token(folder.path(), "blank", load_profile("plain-softhsm"), {});
    const Cryptoki cryptoki(find_softhsm_module(), made.configuration.string());
    EXPECT_EQ(cryptoki.tokens().size(), 1U);
}

TEST(Provision, DoesNotDisturbSoftHsmInThisProcess) {
    const TemporaryFolder folder;
    const Profile profile = load_profile("plain-softhsm");
    const Key key = import_key(kToken);
    const Opened token(provision_token(folder / "first", "A", profile, {&key, 1}), profile.pin.user);
    const std::string configuration = std::getenv("SOFTHSM2_CONF");

    const Provisioned second = provision_token(folder / "second", "B", profile, {&key, 1});
    EXPECT_EQ(second.configuration, folder.path() / "second" / "softhsm2.conf");
    EXPECT_EQ(std::getenv("SOFTHSM2_CONF"), configuration);
    ASSERT_EQ(token.cryptoki.sign_init(token.session, CKM_SHA1_RSA_PKCS, token.private_key), CKR_OK);
    const auto golden = read_golden("krakow/CTLFile-tokens.tlv");
    EXPECT_EQ(token.cryptoki.sign(token.session, golden.message), golden.signature);
}

TEST(Provision, SeveralTokensShareAFolder) {
    const TemporaryFolder folder;
    const Profile profile = load_profile("etoken-pro-64k");
    const Key key = import_key(kToken);
    const Provisioned a = provision_token(folder.path(), "A", profile, {&key, 1});
    restrict_mechanisms(folder.path(), {"CKM_RSA_PKCS"});
    const Provisioned b = provision_token(folder.path(), "B", profile, std::vector<Key>(1));
    EXPECT_EQ(a.configuration, b.configuration);
    EXPECT_NE(a.serial, b.serial);
    const Cryptoki cryptoki(find_softhsm_module(), a.configuration.string());
    EXPECT_EQ(cryptoki.tokens().size(), 2U);
}

TEST(Provision, RefusesBeforeItMakesAnything) {
    const TemporaryFolder folder;
    const Profile profile = load_profile("plain-softhsm");
    const auto refusal = [&](const std::string& where, const std::string& name,
                             const Key& key) -> std::error_code {
        try {
            provision_token(folder / where, name, profile, {&key, 1});
        } catch (const Error& e) {
            EXPECT_FALSE(std::filesystem::exists(folder / where));
            return e.code();
        }
        return {};
    };
    Key mismatched = import_key(kToken);
    mismatched.certificate = load_certificate("krakow/certificates/cucm-1051-a-pub.pem");
    EXPECT_EQ(refusal("x", "A", mismatched), sast::Errc::KeyMismatch);
    Key without_key;
    without_key.certificate = load_certificate("krakow/certificates/cucm-1051-a-pub.pem");
    EXPECT_EQ(refusal("x", "A", without_key), sast::Errc::KeyMismatch);
    Key not_a_key;
    not_a_key.pem = read_text("krakow/certificates/cucm-1051-a-pub.pem");
    EXPECT_EQ(refusal("x", "A", not_a_key), sast::Errc::MalformedKey);
    EXPECT_EQ(refusal("x", "", Key()), Errc::BadName);
    EXPECT_EQ(refusal("x", std::string(33, 'A'), Key()), Errc::BadName);
    EXPECT_EQ(refusal("x#y", "A", Key()), Errc::BadName);
    EXPECT_EQ(refusal("x=y", "A", Key()), Errc::BadName);
}

TEST(Provision, AFailureLeavesNoToken) {
    const TemporaryFolder folder;
    Key key;
    key.bits = 100;
    try {
        provision_token(folder / "softhsm", "A", load_profile("plain-softhsm"), {&key, 1});
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code().category(), pkcs11::rv_category());
        EXPECT_EQ(e.failed(), "C_GenerateKeyPair");
        EXPECT_EQ(e.subject(), "SoftHSM2 token A");
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder / "softhsm/tokens"));
    EXPECT_FALSE(std::filesystem::exists(folder / "softhsm/softhsm2.conf"));
    Key bad_subject;
    bad_subject.subject = "no attribute";
    EXPECT_THROW(provision_token(folder / "softhsm", "A", load_profile("plain-softhsm"), {&bad_subject, 1}),
                 Error);
    EXPECT_TRUE(std::filesystem::is_empty(folder / "softhsm/tokens"));
}

TEST(Provision, ANamedModuleThatIsNotThereIsSaidSo) {
    setenv("CTLSIGN_SOFTHSM2_MODULE", "/nowhere/libsofthsm2.so", 1);
    try {
        find_softhsm_module();
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::NoSoftHsm);
        EXPECT_THAT(e.what(), ::testing::HasSubstr("/nowhere/libsofthsm2.so"));
    }
    const TemporaryFolder folder;
    std::ofstream(folder / "no-module.so") << "not a library";
    setenv("CTLSIGN_SOFTHSM2_MODULE", (folder / "no-module.so").c_str(), 1);
    try {
        provision_token(folder / "softhsm", "A", load_profile("plain-softhsm"), {});
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), pkcs11::Errc::ModuleNotLoaded);
    }
    unsetenv("CTLSIGN_SOFTHSM2_MODULE");
}

}  // namespace
}  // namespace ctlsign::softhsm
