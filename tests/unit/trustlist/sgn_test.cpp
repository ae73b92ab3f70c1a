#include <gtest/gtest.h>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <tests/support/krakow.hpp>

namespace ctlsign {
namespace {

namespace krakow = testing::krakow;
using testing::FileKeySigner;
using testing::load_certificate;
using testing::read_data;

constexpr const char* kFile = "open-tools/SEP001122334455.cnf.xml.sgn";

TEST(Sgn, WhatTheOpenToolsFileSays) {
    const Bytes octets = read_data(kFile);
    const SgnFile file = decode_sgn(ByteView(octets));
    EXPECT_EQ(file.version(), kSgnVersion);
    EXPECT_EQ(file.header_length(), 420U);
    EXPECT_EQ(file.filename(), "New_Zealand/g3-tones.xml.sgn");
    EXPECT_TRUE(equal(file.payload(), read_data("open-tools/SEP001122334455.cnf.xml")));
    EXPECT_EQ(encode(file), octets);
}

HeaderDraft open_tools_header() {
    const auto certificate = load_certificate("open-tools/asterisk.pem");
    HeaderDraft header;
    header.version = kSgnVersion;
    header.signer = make_signer_id(certificate, NameStyle::Rfc4514);
    header.digest = Digest::Sha512;
    header.key_bits = 2048;
    header.filename = "New_Zealand/g3-tones.xml.sgn";
    header.timestamp = decode_sgn(read_data(kFile)).timestamp();
    header.layout = Layout::OpenTools;
    return header;
}

TEST(Sgn, SignedWithTheSameKeyItIsIdentical) {
    testing::KeySigner signer(load_certificate("open-tools/asterisk.pem"),
                              testing::load_key("open-tools/asterisk.pem"));
    EXPECT_EQ(sign_payload(open_tools_header(), read_data("open-tools/SEP001122334455.cnf.xml"), signer),
              read_data(kFile));
    EXPECT_EQ(signer.calls(), 1);
}

TEST(Sgn, TheKeyComesFromARecordThatServesFiles) {
    const SgnFile file = decode_sgn(read_data(kFile));
    const TrustList tftp = decode_list(read_data("open-tools/itl-sha512-v11-ec.tlv"));
    const Verdict good = verify(file, {{&tftp, 1}, {}}, krakow::kNow);
    EXPECT_EQ(good.outcome, Outcome::Verified) << to_text(good);
    EXPECT_EQ(good.record, 2U);
    // There the same certificate is a CallManager alone.
    const TrustList ccm = decode_list(read_data("open-tools/itl-sha1-v10.tlv"));
    EXPECT_EQ(verify(file, {{&ccm, 1}, {}}, krakow::kNow).rule, Rule::SignerUnknown);
}

TEST(Sgn, OrFromACertificate) {
    const SgnFile file = decode_sgn(read_data(kFile));
    const auto signer = load_certificate("open-tools/asterisk.pem"),
               other = load_certificate("open-tools/tvs.pem");
    EXPECT_EQ(verify(file, {{}, {&signer, 1}}, krakow::kNow).outcome, Outcome::Verified);
    EXPECT_EQ(verify(file, {{}, {&other, 1}}, krakow::kNow).rule, Rule::SignerUnknown);
    const Verdict nobody = verify(file, {}, krakow::kNow);
    EXPECT_EQ(nobody.outcome, Outcome::KeyNotHere);
    EXPECT_EQ(nobody.rule, Rule::NoAnchor);
}

TEST(Sgn, AnySingleOctetChangedIsRefusedOrNotVerified) {
    const Bytes golden = read_data(kFile);
    const auto signer = load_certificate("open-tools/asterisk.pem");
    Verifier verifier({{}, {&signer, 1}});
    for (std::size_t i = 0; i < golden.size(); ++i) {
        for (unsigned change = 1; change < 256; change *= 2) {
            Bytes octets = golden;
            octets[i] = static_cast<std::uint8_t>(octets[i] ^ change);
            try {
                ASSERT_NE(verifier.verify(decode_sgn(std::move(octets)), krakow::kNow).outcome,
                          Outcome::Verified)
                    << i;
            } catch (const DecodeError&) {
                continue;
            }
        }
    }
}

TEST(Sgn, TruncatedAtEveryLength) {
    const Bytes golden = read_data(kFile);
    const auto signer = load_certificate("open-tools/asterisk.pem");
    for (std::size_t size = 0; size < golden.size(); ++size) {
        try {
            const Verdict verdict =
                verify(decode_sgn(ByteView(golden).first(size)), {{}, {&signer, 1}}, krakow::kNow);
            EXPECT_GE(size, 420U);
            EXPECT_EQ(verdict.rule, Rule::SignatureWrong);
        } catch (const DecodeError& e) {
            EXPECT_LT(size, 420U);
            EXPECT_LE(e.position(), size);
        }
    }
}

TEST(Sgn, AnEmptyPayloadAndAnyOctetsSurvive) {
    FileKeySigner signer(krakow::kPublisher);
    HeaderDraft header = krakow::header(krakow::kPublisher, NameStyle::CallManager, Digest::Sha1);
    header.version = kSgnVersion;
    header.filename = "SEP001122334455.cnf.xml.sgn";
    for (const Bytes& payload : {Bytes{}, Bytes{1, 0, 2}, Bytes(100'000, 13)}) {
        const SgnFile file = decode_sgn(sign_payload(header, payload, signer));
        EXPECT_TRUE(equal(file.payload(), payload));
        EXPECT_EQ(verify(file, {{}, {&signer.facts().certificate, 1}}, krakow::kNow).outcome,
                  Outcome::Verified);
    }
}

TEST(Sgn, TheHeaderMustNameTheSigner) {
    FileKeySigner signer(krakow::kPublisher);
    HeaderDraft header = krakow::header(krakow::kSubscriber, NameStyle::CallManager, Digest::Sha1);
    header.filename = "x.sgn";
    try {
        sign_payload(header, Bytes{1}, signer);
        FAIL() << "signed";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::NotVerified);
    }
    EXPECT_EQ(signer.calls(), 0);
}

TEST(Sgn, IsToldFromAList) {
    EXPECT_TRUE(std::holds_alternative<SgnFile>(decode_any(read_data(kFile))));
    EXPECT_TRUE(std::holds_alternative<TrustList>(decode_any(read_data("krakow/CTLFile-tokens.tlv"))));
    EXPECT_TRUE(std::holds_alternative<TrustList>(decode_any(read_data("open-tools/itl-sha1-v10.tlv"))));
}

}  // namespace
}  // namespace ctlsign
