#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <tests/support/krakow.hpp>

namespace ctlsign {
namespace {

namespace krakow = testing::krakow;
using ::testing::Contains;
using ::testing::Field;
using testing::FileKeySigner;
using ::testing::HasSubstr;
using testing::KeySigner;
using testing::load_certificate;
using ::testing::Not;
using testing::read_data;

constexpr std::chrono::sys_seconds at(std::int64_t unix_seconds) {
    return std::chrono::sys_seconds(std::chrono::seconds(unix_seconds));
}
constexpr auto kIn2015 = at(1'430'000'000);
constexpr auto kIn2030 = at(1'900'000'000);

// Signs whatever the draft says: what sign_list would refuse to.
TrustList force_sign(const ListDraft& draft, sast::Signer& signer) {
    const ToSign to_sign = encode(draft);
    return decode_list(splice(to_sign, signer.sign(draft.header.digest, to_sign.octets)));
}

TrustList publisher_signs(const ListDraft& draft) {
    FileKeySigner signer(krakow::kPublisher);
    return force_sign(draft, signer);
}

// A key of the size of the publisher's, in other hands.
KeySigner attacker(const std::string& name = "attacker", std::uint64_t serial = 1) {
    static const testing::KeyPtr kKey = testing::own_key(EVP_RSA_gen(1024));
    return {testing::make_certificate(kKey, name, serial), kKey};
}

Verdict verify_alone(const TrustList& list) {
    return verify(list, {}, kIn2015);
}

auto warns(Caution caution) {
    return Contains(Field(&Warning::caution, caution));
}

// --- every single octet counts ----------------------------------------------------------------------------

class Changed : public ::testing::TestWithParam<const char*> {};

TEST_P(Changed, AnySingleOctetIsRefusedOrNotVerified) {
    const Bytes golden = read_data(GetParam());
    const std::size_t header = decode_list(ByteView(golden)).header_length();
    Verifier verifier;
    for (std::size_t i = 0; i < golden.size(); ++i) {
        // Every other value in the header, every bit in the records.
        for (unsigned change = 1; change < 256; change = i < header ? change + 1 : change * 2) {
            Bytes octets = golden;
            octets[i] = static_cast<std::uint8_t>(octets[i] ^ change);
            try {
                const Verdict verdict = verifier.verify(decode_list(std::move(octets)), kIn2015);
                ASSERT_NE(verdict.outcome, Outcome::Verified) << "octet " << i << " changed by " << change;
            } catch (const DecodeError&) {
                continue;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Golden, Changed,
                         ::testing::Values("krakow/CTLFile-tokenless.tlv", "krakow/CTLFile-tokens.tlv"));

TEST(Verify, ARecordMoreOrLessIsNotVerified) {
    const Bytes golden = read_data("krakow/CTLFile-tokenless.tlv");
    const TrustList list = decode_list(ByteView(golden));
    const auto last = list.records().back().position();
    const Verdict shorter = verify_alone(decode_list(ByteView(golden).first(last)));
    EXPECT_EQ(shorter.rule, Rule::SignatureWrong);
    Bytes longer = golden;
    longer.insert(longer.end(), golden.begin() + static_cast<std::ptrdiff_t>(last), golden.end());
    EXPECT_EQ(verify_alone(decode_list(ByteView(longer))).rule, Rule::SignatureWrong);
}

TEST(Verify, AFileThatWaitsForItsSignature) {
    const Verdict verdict = verify_alone(decode_unsigned_list(encode(krakow::tokenless()).octets));
    EXPECT_EQ(verdict.outcome, Outcome::Refused);
    EXPECT_EQ(verdict.rule, Rule::NotSigned);
}

// --- who is the signer ------------------------------------------------------------------------------------

TEST(Signer, IsNamedWithTheRecordThatMatched) {
    const Verdict verdict = verify_alone(decode_list(read_data("krakow/CTLFile-tokens.tlv")));
    EXPECT_EQ(verdict.rule, Rule::SignatureFits);
    EXPECT_EQ(verdict.record, 4U);
    EXPECT_FALSE(verdict.list);
    EXPECT_EQ(verdict.signer.issuer, "cn=Cisco Manufacturing CA;o=Cisco Systems");
    EXPECT_THAT(to_text(verdict), HasSubstr("record 5 of the file itself, which proves nothing about trust"));
}

// The attacker signs a list whose header names the publisher, and adds a record of his own key.
ListDraft with_record_of(const sast::Certificate& certificate,
                         const std::function<void(RecordDraft&)>& change) {
    ListDraft draft = krakow::tokenless();
    RecordDraft record =
        make_record(certificate, NameStyle::CallManager, Role::Sast, CertificateSignature::Write);
    change(record);
    draft.records.push_back(std::move(record));
    return draft;
}

TEST(Signer, SerialAloneDoesNotMakeOne) {
    const Bytes serial = *krakow::tokenless().records[0].serial;
    KeySigner thief = attacker();
    const ListDraft draft =
        with_record_of(thief.facts().certificate, [&](RecordDraft& record) { record.serial = serial; });
    const Verdict verdict = verify_alone(force_sign(draft, thief));
    EXPECT_EQ(verdict.rule, Rule::SignatureWrong);
    EXPECT_EQ(verdict.record, 0U);
    // The publisher's own signature over the same list is good: the record is one more SAST, not the signer.
    EXPECT_EQ(verify_alone(publisher_signs(draft)).outcome, Outcome::Verified);
}

TEST(Signer, IssuerAloneDoesNotMakeOne) {
    const std::string issuer = *krakow::tokenless().records[0].issuer;
    KeySigner thief = attacker();
    const ListDraft draft =
        with_record_of(thief.facts().certificate, [&](RecordDraft& record) { record.issuer = issuer; });
    EXPECT_EQ(verify_alone(force_sign(draft, thief)).rule, Rule::SignatureWrong);
}

TEST(Signer, SameNameAndSerialWithAnotherKeyIsRefusedWhoeverSigned) {
    const RecordDraft own = krakow::tokenless().records[0];
    KeySigner thief = attacker();
    const ListDraft draft = with_record_of(thief.facts().certificate, [&](RecordDraft& record) {
        record.serial = own.serial;
        record.issuer = own.issuer;
    });
    const TrustList installed = decode_list(read_data("krakow/CTLFile-tokenless.tlv"));
    const auto publisher = load_certificate(krakow::kPublisher + ".pem");
    for (const TrustList& list : {force_sign(draft, thief), publisher_signs(draft)}) {
        EXPECT_EQ(verify_alone(list).rule, Rule::SignersConflict);
        EXPECT_EQ(verify(list, {{&installed, 1}, {}}, kIn2015).rule, Rule::SignersConflict);
        EXPECT_EQ(verify(list, {{}, {&publisher, 1}}, kIn2015).rule, Rule::SignersConflict);
    }
}

TEST(Signer, OtherRolesDoNotSignLists) {
    ListDraft draft = krakow::tokenless();
    draft.records.erase(draft.records.begin());
    const Verdict verdict = verify_alone(publisher_signs(draft));
    EXPECT_EQ(verdict.outcome, Outcome::Refused);
    EXPECT_EQ(verdict.rule, Rule::SignerUnknown);
    EXPECT_FALSE(verdict.record);
}

TEST(Signer, TheSameRecordTwiceIsAWarning) {
    ListDraft draft = krakow::tokenless();
    draft.records.push_back(draft.records[0]);
    const Verdict verdict = verify_alone(publisher_signs(draft));
    EXPECT_EQ(verdict.outcome, Outcome::Verified);
    EXPECT_THAT(verdict.warnings, warns(Caution::DuplicateSigner));
}

// --- what the signer's record must hold -------------------------------------------------------------------

Verdict with_signer_record(const std::function<void(RecordDraft&)>& change,
                           const TrustAnchors& anchors = {}) {
    ListDraft draft = krakow::tokenless();
    change(draft.records[0]);
    return verify(publisher_signs(draft), anchors, kIn2015);
}

TEST(SignerRecord, AnotherPublicKeyIsRefused) {
    const auto publisher = load_certificate(krakow::kPublisher + ".pem");
    const auto other = load_certificate(krakow::kSubscriber + ".pem");
    const auto change = [&](RecordDraft& record) {
        record.public_key = Bytes(other.public_key().begin(), other.public_key().end());
    };
    EXPECT_EQ(with_signer_record(change).rule, Rule::RecordKeyDiffers);
    EXPECT_EQ(with_signer_record(change, {{}, {&publisher, 1}}).rule, Rule::RecordKeyDiffers);
}

TEST(SignerRecord, AnotherCertificateIsRefused) {
    const auto other = load_certificate(krakow::kSubscriber + ".pem");
    const auto change = [&](RecordDraft& record) {
        record.certificate = Bytes(other.der().begin(), other.der().end());
    };
    EXPECT_EQ(with_signer_record(change).rule, Rule::RecordKeyDiffers);
}

TEST(SignerRecord, WithoutAPublicKeyTheCertificateIsEnough) {
    EXPECT_EQ(with_signer_record([](RecordDraft& record) { record.public_key.reset(); }).outcome,
              Outcome::Verified);
}

TEST(SignerRecord, AnotherSerialThanTheCertificatesIsRefused) {
    ListDraft draft = krakow::tokenless();
    draft.header.signer.serial = {1, 2, 3};
    draft.records[0].serial = Bytes{1, 2, 3};
    EXPECT_EQ(verify_alone(publisher_signs(draft)).rule, Rule::RecordSerialDiffers);
}

TEST(SignerRecord, TheSerialMayBeReversedAndHaveZeros) {
    const Bytes serial = *krakow::tokenless().records[0].serial;
    Bytes zeros = serial, reversed(serial.rbegin(), serial.rend());
    zeros.insert(zeros.begin(), 0);
    for (const Bytes& stored : {zeros, reversed}) {
        ListDraft draft = krakow::tokenless();
        draft.header.signer.serial = stored;
        draft.records[0].serial = stored;
        EXPECT_EQ(verify_alone(publisher_signs(draft)).outcome, Outcome::Verified) << to_hex(stored);
        draft.records[0].serial = serial;  // header and record are compared octet by octet
        EXPECT_EQ(verify_alone(publisher_signs(draft)).rule, Rule::SignerUnknown) << to_hex(stored);
    }
}

TEST(SignerRecord, NoCertificateNoKey) {
    EXPECT_EQ(with_signer_record([](RecordDraft& record) { record.certificate.reset(); }).rule,
              Rule::NoCertificate);
    EXPECT_EQ(with_signer_record([](RecordDraft& record) { record.certificate = Bytes{}; }).rule,
              Rule::CertificateUnreadable);
    EXPECT_EQ(with_signer_record([](RecordDraft& record) { record.certificate->pop_back(); }).rule,
              Rule::CertificateUnreadable);
}

void keep_hash_only(RecordDraft& record, Digest algorithm) {
    const ByteView der = *record.certificate;
    record.certificate_hash = compute_digest(algorithm, {{der}});
    record.hash_algorithm = algorithm;
    record.certificate.reset();
    record.public_key.reset();
    record.signature.reset();
}

TEST(SignerRecord, AHashGivesNoKeyUnlessTheCertificateIsGiven) {
    const auto publisher = load_certificate(krakow::kPublisher + ".pem");
    const auto other = load_certificate(krakow::kCapf + ".pem");
    for (const Digest algorithm : {Digest::Sha1, Digest::Sha256, Digest::Sha512}) {
        const auto change = [&](RecordDraft& record) { keep_hash_only(record, algorithm); };
        const Verdict alone = with_signer_record(change);
        EXPECT_EQ(alone.outcome, Outcome::KeyNotHere);
        EXPECT_EQ(alone.rule, Rule::HashOnly);
        EXPECT_THAT(to_text(alone), HasSubstr("signer named, key not here"));
        EXPECT_EQ(with_signer_record(change, {{}, {&other, 1}}).rule, Rule::HashOnly);
        const Verdict given = with_signer_record(change, {{}, {&publisher, 1}});
        EXPECT_EQ(given.outcome, Outcome::Verified);
        EXPECT_EQ(given.basis, Basis::Certificate);
    }
}

TEST(SignerRecord, EllipticCurvesDoNotSignLists) {
    ListDraft draft = krakow::tokenless();
    const auto certificate = load_certificate("open-tools/apache-ec.pem");
    draft.header.signer = make_signer_id(certificate, NameStyle::Rfc4514);
    draft.records = {make_record(certificate, NameStyle::Rfc4514, Role::Sast, CertificateSignature::Write)};
    EXPECT_EQ(verify_alone(publisher_signs(draft)).rule, Rule::KeyUnsupported);
}

TEST(SignerRecord, AKeyOf3072BitsHasNoCode) {
    const auto key = testing::own_key(EVP_RSA_gen(3072));
    const auto certificate = testing::make_certificate(key, "big", 5);
    ListDraft draft = krakow::tokenless();
    draft.header.signer = make_signer_id(certificate, NameStyle::CallManager);
    draft.records = {
        make_record(certificate, NameStyle::CallManager, Role::Sast, CertificateSignature::Write)};
    EXPECT_EQ(verify_alone(publisher_signs(draft)).rule, Rule::KeySizeDiffers);
    draft.header.key_bits = 3072;
    try {
        encode(draft);
        FAIL() << "encoded";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::Unencodable);
        EXPECT_THAT(e.what(), HasSubstr("3072 bits"));
    }
}

TEST(SignerRecord, UnknownRolesAndTagsDisturbNobody) {
    ListDraft draft = krakow::tokenless();
    draft.records[1].role = static_cast<Role>(99);
    RecordDraft raw;
    raw.raw = Bytes{1, 0, 2, 0, 9, 77, 0, 1, 5};
    draft.records.push_back(raw);
    EXPECT_EQ(verify_alone(publisher_signs(draft)).outcome, Outcome::Verified);
}

// --- trust comes from outside -----------------------------------------------------------------------------

TEST(Installed, TheSignerMustBeInOneOfTheLists) {
    std::vector<TrustList> installed;
    installed.push_back(decode_list(read_data("krakow/CTLFile-tokens.tlv")));
    const TrustList tokenless = decode_list(read_data("krakow/CTLFile-tokenless.tlv"));
    const Verdict unknown = verify(tokenless, {installed, {}}, kIn2015);
    EXPECT_EQ(unknown.outcome, Outcome::Refused);
    EXPECT_EQ(unknown.rule, Rule::SignerUnknown);
    EXPECT_EQ(unknown.basis, Basis::InstalledList);
    installed.push_back(decode_list(read_data("krakow/CTLFile-tokenless.tlv")));
    const Verdict known = verify(tokenless, {installed, {}}, kIn2015);
    EXPECT_EQ(known.outcome, Outcome::Verified);
    EXPECT_EQ(known.list, 1U);
    EXPECT_EQ(known.record, 0U);
    EXPECT_THAT(to_text(known), HasSubstr("record 1 of installed list 2"));
}

TEST(Installed, TheFirstListThatNamesTheSignerDecides) {
    ListDraft conflicting = krakow::tokenless();
    const auto other = attacker().facts().certificate;
    conflicting.records[0].certificate = Bytes(other.der().begin(), other.der().end());
    conflicting.records[0].public_key.reset();
    conflicting.records[0].serial = krakow::tokenless().records[0].serial;
    std::vector<TrustList> installed;
    installed.push_back(publisher_signs(conflicting));
    installed.push_back(decode_list(read_data("krakow/CTLFile-tokenless.tlv")));
    const Verdict verdict =
        verify(decode_list(read_data("krakow/CTLFile-tokenless.tlv")), {installed, {}}, kIn2015);
    EXPECT_EQ(verdict.rule, Rule::RecordSerialDiffers);
    EXPECT_EQ(verdict.list, 0U);
}

TEST(Installed, TheKeyIsNeverTheFilesOwn) {
    // The same names and serial number as the publisher's, another key throughout: good alone, worth nothing.
    const auto key = testing::own_key(EVP_RSA_gen(1024));
    KeySigner twin(testing::make_certificate(key, "pub", 7), key);
    const auto real_key = testing::own_key(EVP_RSA_gen(1024));
    KeySigner real(testing::make_certificate(real_key, "pub", 7), real_key);
    const auto list_of = [](KeySigner& signer) {
        ListDraft draft = krakow::tokenless();
        draft.header.signer = make_signer_id(signer.facts().certificate, NameStyle::CallManager);
        draft.records = {make_record(signer.facts().certificate, NameStyle::CallManager, Role::Sast,
                                     CertificateSignature::Write)};
        return force_sign(draft, signer);
    };
    const TrustList forged = list_of(twin), installed = list_of(real);
    EXPECT_EQ(verify_alone(forged).outcome, Outcome::Verified);
    EXPECT_EQ(verify(forged, {{&installed, 1}, {}}, kIn2015).rule, Rule::SignatureWrong);
    EXPECT_EQ(verify(installed, {{&installed, 1}, {}}, kIn2015).outcome, Outcome::Verified);
}

TEST(Installed, AFileNeedNotHoldItsSigner) {
    ListDraft draft = krakow::tokenless();
    draft.records.erase(draft.records.begin());
    const TrustList installed = decode_list(read_data("krakow/CTLFile-tokenless.tlv"));
    EXPECT_EQ(verify(publisher_signs(draft), {{&installed, 1}, {}}, kIn2015).outcome, Outcome::Verified);
}

TEST(Installed, AHashThereNeedsTheCertificate) {
    ListDraft draft = krakow::tokenless();
    keep_hash_only(draft.records[0], Digest::Sha256);
    const TrustList installed = publisher_signs(draft);
    const TrustList list = decode_list(read_data("krakow/CTLFile-tokenless.tlv"));
    EXPECT_EQ(verify(list, {{&installed, 1}, {}}, kIn2015).outcome, Outcome::KeyNotHere);
    const sast::Certificate given[] = {load_certificate(krakow::kCapf + ".pem"),
                                       load_certificate(krakow::kPublisher + ".pem")};
    const Verdict verdict = verify(list, {{&installed, 1}, given}, kIn2015);
    EXPECT_EQ(verdict.outcome, Outcome::Verified);
    EXPECT_EQ(verdict.certificate, 1U);
    EXPECT_EQ(verdict.record, 0U);
}

TEST(Certificates, AreFoundByNameInEveryStyle) {
    for (const auto& [signer, style] : {std::pair{krakow::kPublisher, NameStyle::CallManager},
                                        std::pair{krakow::kSecondToken, NameStyle::CtlClient},
                                        std::pair{krakow::kPublisher, NameStyle::Rfc4514}}) {
        FileKeySigner key(signer);
        const auto certificate = key.facts().certificate;
        ListDraft draft{krakow::header(signer, style, Digest::Sha1), {}};
        const TrustList list = force_sign(draft, key);
        const Verdict verdict = verify(list, {{}, {&certificate, 1}}, kIn2015);
        EXPECT_EQ(verdict.outcome, Outcome::Verified) << to_text(verdict);
        EXPECT_EQ(verdict.basis, Basis::Certificate);
        const auto other = load_certificate(krakow::kSubscriber + ".pem");
        EXPECT_EQ(verify(list, {{}, {&other, 1}}, kIn2015).rule, Rule::SignerUnknown);
    }
}

TEST(Certificates, SameIssuerOrSerialAloneIsNotTheSigner) {
    const auto other = load_certificate(krakow::kFirstToken + ".pem");  // the same issuer
    EXPECT_EQ(verify(decode_list(read_data("krakow/CTLFile-tokens.tlv")), {{}, {&other, 1}}, kIn2015).rule,
              Rule::SignerUnknown);
    FileKeySigner key(krakow::kPublisher);
    ListDraft draft{krakow::header(krakow::kPublisher, NameStyle::CallManager, Digest::Sha1), {}};
    draft.header.signer.issuer = "CN=other";
    EXPECT_EQ(verify(force_sign(draft, key), {{}, {&key.facts().certificate, 1}}, kIn2015).rule,
              Rule::SignerUnknown);
}

// --- warnings ---------------------------------------------------------------------------------------------

TEST(Warnings, OldDigestAndShortKey) {
    const Verdict sha1 = verify_alone(decode_list(read_data("krakow/CTLFile-tokenless.tlv")));
    EXPECT_THAT(sha1.warnings, warns(Caution::Sha1));
    EXPECT_THAT(sha1.warnings, warns(Caution::KeyBelow2048));
    const Verdict sha512 = verify_alone(decode_list(read_data("open-tools/itl-sha512-v11-ec.tlv")));
    EXPECT_THAT(sha512.warnings, Not(warns(Caution::Sha1)));
    EXPECT_THAT(sha512.warnings, Not(warns(Caution::KeyBelow2048)));
}

TEST(Warnings, ExpiryIsNoRefusal) {
    const TrustList list = decode_list(read_data("krakow/CTLFile-tokens.tlv"));
    EXPECT_THAT(verify(list, {}, kIn2015).warnings, Not(warns(Caution::RecordExpired)));
    const Verdict late = verify(list, {}, kIn2030);
    EXPECT_EQ(late.outcome, Outcome::Verified);
    EXPECT_THAT(late.warnings, warns(Caution::SignerExpired));
    EXPECT_EQ(std::ranges::count(late.warnings, Caution::RecordExpired, &Warning::caution), 5);
    const auto capf = std::ranges::find(late.warnings, std::optional<std::size_t>(2), &Warning::record);
    ASSERT_NE(capf, late.warnings.end());
    EXPECT_EQ(to_text(*capf), "record 3: its certificate expired on 2020-02-29");
}

TEST(Warnings, RecordsThatDoNotDecide) {
    ListDraft draft = krakow::tokenless();
    draft.records[1].serial = Bytes{1};
    draft.records[2].public_key->back() ^= 1;
    draft.records[3].certificate = Bytes{1, 2, 3};
    const Verdict verdict = verify_alone(publisher_signs(draft));
    EXPECT_EQ(verdict.outcome, Outcome::Verified);
    EXPECT_EQ(std::ranges::count(verdict.warnings, Caution::RecordInconsistent, &Warning::caution), 2);
    EXPECT_EQ(std::ranges::count(verdict.warnings, Caution::RecordUnreadable, &Warning::caution), 1);
}

TEST(Warnings, NewerVersionAndPastThePhonesLimit) {
    ListDraft draft = krakow::tokenless();
    draft.header.version = {1, 3};
    for (int i = 0; i < 60; ++i) draft.records.push_back(draft.records[3]);
    const Verdict verdict = verify_alone(publisher_signs(draft));
    EXPECT_EQ(verdict.outcome, Outcome::Verified);
    EXPECT_THAT(verdict.warnings, warns(Caution::NewerVersion));
    EXPECT_THAT(verdict.warnings, warns(Caution::OverPhoneLimit));
}

TEST(Verifier, ForgetsNothingItNeeds) {
    // More signers than it remembers keys, each of them twice.
    std::vector<TrustList> lists;
    for (int i = 0; i < 20; ++i) {
        const auto key = testing::own_key(EVP_RSA_gen(512));
        KeySigner signer(testing::make_certificate(key, "s" + std::to_string(i), 1), key);
        ListDraft draft;
        draft.header.signer = make_signer_id(signer.facts().certificate, NameStyle::CallManager);
        draft.header.key_bits = 512;
        draft.header.filename = "CTLFile.tlv";
        draft.records = {make_record(signer.facts().certificate, NameStyle::CallManager, Role::Sast,
                                     CertificateSignature::Write)};
        lists.push_back(decode_list(sign_list(draft, signer)));
    }
    Verifier verifier;
    for (int round = 0; round < 2; ++round) {
        for (const TrustList& list : lists)
            EXPECT_EQ(verifier.verify(list, kIn2015).outcome, Outcome::Verified);
    }
}

}  // namespace
}  // namespace ctlsign
