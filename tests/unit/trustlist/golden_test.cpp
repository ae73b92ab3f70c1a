#include <gtest/gtest.h>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <tests/support/krakow.hpp>

namespace ctlsign {
namespace {

using testing::FileKeySigner;
using testing::read_data;
namespace krakow = testing::krakow;

TEST(Golden, TokenlessIsIdentical) {
    FileKeySigner signer(krakow::kPublisher);
    EXPECT_EQ(sign_list(krakow::tokenless(), signer), read_data("krakow/CTLFile-tokenless.tlv"));
    EXPECT_EQ(signer.calls(), 1);
}

TEST(Golden, TokenlessWithSha512IsIdentical) {
    FileKeySigner signer(krakow::kPublisher);
    EXPECT_EQ(sign_list(krakow::tokenless(Digest::Sha512), signer),
              read_data("krakow/CTLFile-tokenless-sha512.tlv"));
}

TEST(Golden, TokensIsIdentical) {
    FileKeySigner signer(krakow::kSecondToken);
    EXPECT_EQ(sign_list(krakow::tokens(), signer), read_data("krakow/CTLFile-tokens.tlv"));
}

TEST(Golden, WhatTheTokensFileSays) {
    const TrustList list = decode_list(read_data("krakow/CTLFile-tokens.tlv"));
    EXPECT_EQ(list.version(), (Version{1, 2}));
    EXPECT_FALSE(list.signer_version());
    EXPECT_EQ(list.signer_name(), R"(cn="SAST-ADN008580ef        ";ou=IPCBU;o="Cisco Systems)");
    EXPECT_EQ(list.signer_issuer(), "cn=Cisco Manufacturing CA;o=Cisco Systems");
    EXPECT_EQ(to_hex(list.signer_serial(), ":"), "83:E9:08:00:00:00:55:45:AF:31");
    EXPECT_EQ(list.digest(), Digest::Sha1);
    EXPECT_EQ(list.key_bits(), 1024U);
    EXPECT_EQ(list.signature().size(), 128U);
    EXPECT_EQ(list.filename(), "CTLFile.tlv");
    EXPECT_EQ(list.timestamp(), krakow::kTimestamp);
    ASSERT_EQ(list.records().size(), 5U);
    const Record& token = list.records()[0];
    EXPECT_EQ(token.position(), 304U);
    EXPECT_EQ(token.dns_name(), "");
    EXPECT_EQ(token.role(), Role::Sast);
    EXPECT_FALSE(token.signature());
    EXPECT_EQ(token.certificate()->size(), 902U);
    const Record& capf = list.records()[2];
    EXPECT_EQ(capf.role(), Role::Capf);
    EXPECT_EQ(capf.subject(), "CN=CAPF-e41e7d87;OU=TAC;O=Cisco;L=Krakow;ST=Malopolska;C=PL");
    EXPECT_TRUE(equal(*capf.ip_address(), krakow::kPublisherAddress));
    EXPECT_FALSE(capf.certificate_hash());
    EXPECT_FALSE(capf.hash_algorithm());
}

class RealFile : public ::testing::TestWithParam<const char*> {};

TEST_P(RealFile, SurvivesDecodeAndEncode) {
    const Bytes octets = read_data(GetParam());
    EXPECT_EQ(encode(decode_list(ByteView(octets))), octets);
}

TEST_P(RealFile, VerifiesAgainstItself) {
    const Verdict verdict = verify(decode_list(read_data(GetParam())), {}, krakow::kNow);
    EXPECT_EQ(verdict.outcome, Outcome::Verified) << to_text(verdict);
    EXPECT_EQ(verdict.basis, Basis::FileItself);
    EXPECT_NE(to_text(verdict).find("proves nothing about trust"), std::string::npos);
}

TEST_P(RealFile, VerifiesAgainstItselfAsInstalledList) {
    const TrustList list = decode_list(read_data(GetParam()));
    const Verdict verdict = verify(list, {{&list, 1}, {}}, krakow::kNow);
    EXPECT_EQ(verdict.outcome, Outcome::Verified) << to_text(verdict);
    EXPECT_EQ(verdict.basis, Basis::InstalledList);
}

INSTANTIATE_TEST_SUITE_P(Vectors, RealFile,
                         ::testing::Values("krakow/CTLFile-tokenless.tlv",
                                           "krakow/CTLFile-tokenless-sha512.tlv", "krakow/CTLFile-tokens.tlv",
                                           "open-tools/ctl-rsa4096.tlv", "open-tools/itl-sha1-v10.tlv",
                                           "open-tools/itl-sha512-v11-ec.tlv"));

TEST(Golden, TheSignerOfEachOpenToolsFileMatchesItsCertificate) {
    for (const auto& [file, pem] : {std::pair{"open-tools/ctl-rsa4096.tlv", "open-tools/tvs.pem"},
                                    std::pair{"open-tools/itl-sha1-v10.tlv", "open-tools/sast.pem"},
                                    std::pair{"open-tools/itl-sha512-v11-ec.tlv", "open-tools/sast.pem"}}) {
        const auto certificate = testing::load_certificate(pem);
        const Verdict verdict = verify(decode_list(read_data(file)), {{}, {&certificate, 1}}, krakow::kNow);
        EXPECT_EQ(verdict.outcome, Outcome::Verified) << file;
        EXPECT_EQ(verdict.basis, Basis::Certificate);
        EXPECT_EQ(verdict.certificate, 0U);
    }
}

// The open tools' own layout, rebuilt from certificates: all that is signed is identical, so their signature
// fits.
TEST(Golden, OpenToolsLayoutIsIdentical) {
    const Bytes octets = read_data("open-tools/itl-sha512-v11-ec.tlv");
    const TrustList theirs = decode_list(ByteView(octets));
    const auto signer = testing::load_certificate("open-tools/sast.pem");
    ListDraft draft;
    draft.header.signer_version = Version{1, 1};
    draft.header.signer = make_signer_id(signer, NameStyle::Rfc4514);
    draft.header.digest = Digest::Sha512;
    draft.header.key_bits = 2048;
    draft.header.filename = "ITLFile.tlv";
    draft.header.timestamp = theirs.timestamp();
    draft.header.layout = Layout::OpenTools;
    for (const auto& [pem, role] : {std::pair{"sast", Role::Sast}, std::pair{"sast-spare", Role::Sast},
                                    std::pair{"asterisk", Role::CcmTftp}, std::pair{"apache-ec", Role::Tftp},
                                    std::pair{"apache-ec", Role::AppServer},
                                    std::pair{"sast-spare", Role::Capf}, std::pair{"tvs", Role::Tvs}}) {
        draft.records.push_back(
            make_record(testing::load_certificate(std::string("open-tools/") + pem + ".pem"),
                        NameStyle::Rfc4514, role, CertificateSignature::Write));
    }
    EXPECT_EQ(attach(prepare(draft).octets, theirs.signature(), {}), octets);
}

}  // namespace
}  // namespace ctlsign
