#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <tests/support/krakow.hpp>

namespace ctlsign {
namespace {

namespace krakow = testing::krakow;
using testing::FileKeySigner;
using ::testing::HasSubstr;
using testing::load_certificate;
using testing::read_data;

std::error_code error_of(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& e) {
        return e.code();
    }
    return {};
}

// What is wrong with the draft is found out before anybody is asked for a PIN.
TEST(SignList, AsksTheSignerOnlyForWhatWillVerify) {
    struct Case {
        const char* name;
        std::function<void(ListDraft&)> change;
        std::error_code code;
    };
    const Case cases[] = {
        {"no record of the signer", [](ListDraft& d) { d.records.erase(d.records.begin()); },
         Errc::NotVerified},
        {"another public key", [](ListDraft& d) { d.records[0].public_key->back() ^= 1; }, Errc::NotVerified},
        {"another serial", [](ListDraft& d) { d.records[0].serial->back() ^= 1; }, Errc::NotVerified},
        {"a header for another size", [](ListDraft& d) { d.header.key_bits = 2048; }, Errc::Unencodable},
        {"a size without a code", [](ListDraft& d) { d.header.key_bits = 3072; }, Errc::Unencodable},
        {"a signer without a serial", [](ListDraft& d) { d.header.signer.serial.clear(); },
         Errc::Unencodable},
        {"a name past u16", [](ListDraft& d) { d.records[1].subject = std::string(65535, 'x'); },
         Errc::Unencodable},
        {"a record past u16", [](ListDraft& d) { d.records[1].certificate = Bytes(65400); },
         Errc::Unencodable},
        {"a header past u16", [](ListDraft& d) { d.header.filename = std::string(65400, 'x'); },
         Errc::Unencodable},
        {"a NUL in a name", [](ListDraft& d) { d.records[1].dns_name = std::string("a\0b", 3); },
         Errc::Unencodable},
        {"raw octets and a role",
         [](ListDraft& d) {
             d.records[1].raw = Bytes{1, 0, 2, 0, 5};
         },
         Errc::Unencodable},
        {"half a raw record",
         [](ListDraft& d) {
             d.records[1] = {};
             d.records[1].raw = Bytes{1, 0, 2, 0, 6};
         },
         Errc::Unencodable},
        {"a raw record with a fault",
         [](ListDraft& d) {
             d.records[1] = {};
             d.records[1].raw = Bytes{1, 0, 2, 0, 9, 4, 0, 1, 0};
         },
         Errc::Malformed},
        {"sixteen mebibytes",
         [](ListDraft& d) {
             d.records.resize(260);
             for (RecordDraft& r : d.records) r.certificate = Bytes(65000);
             for (RecordDraft& r : d.records)
                 r.public_key.reset(), r.signature.reset(), r.role.reset(), r.subject.reset(),
                     r.issuer.reset();
         },
         Errc::Oversized},
    };
    for (const Case& one : cases) {
        ListDraft draft = krakow::tokenless();
        one.change(draft);
        FileKeySigner signer(krakow::kPublisher);
        EXPECT_EQ(error_of([&] { sign_list(draft, signer); }), one.code) << one.name;
        EXPECT_EQ(signer.calls(), 0) << one.name;
    }
}

TEST(SignList, AnotherSignerThanTheHeadersIsNotAsked) {
    FileKeySigner signer(krakow::kSubscriber);
    EXPECT_EQ(error_of([&] { sign_list(krakow::tokenless(), signer); }), Errc::NotVerified);
    EXPECT_EQ(signer.calls(), 0);
}

TEST(SignList, ASignatureThatDoesNotFitIsNeverWritten) {
    class Liar : public FileKeySigner {
      public:
        using FileKeySigner::FileKeySigner;
        Bytes sign(Digest digest, ByteView message) override {
            Bytes signature = FileKeySigner::sign(digest, message);
            signature.back() ^= 1;
            return signature;
        }
    };
    Liar signer(krakow::kPublisher);
    EXPECT_EQ(error_of([&] { sign_list(krakow::tokenless(), signer); }), Errc::NotVerified);
}

TEST(SignList, AHashRecordOfTheSignerIsEnough) {
    ListDraft draft = krakow::tokenless();
    RecordDraft& record = draft.records[0];
    const ByteView der = *record.certificate;
    record.certificate_hash = compute_digest(Digest::Sha256, {{der}});
    record.hash_algorithm = Digest::Sha256;
    record.certificate.reset();
    FileKeySigner signer(krakow::kPublisher);
    const TrustList list = decode_list(sign_list(draft, signer));
    EXPECT_EQ(list.records()[0].hash_algorithm(), Digest::Sha256);
    EXPECT_EQ(list.records()[0].certificate_hash()->size(), 32U);

    const Prepared prepared = prepare(draft);
    EXPECT_EQ(error_of([&] { attach(prepared.octets, list.signature(), {}); }), Errc::NotVerified);
    EXPECT_EQ(attach(prepared.octets, list.signature(), {signer.facts().certificate, {}}),
              Bytes(list.octets().begin(), list.octets().end()));
}

TEST(Prepare, GivesTheOctetsThatAreSignedAndTheirDigest) {
    const Bytes golden = read_data("krakow/CTLFile-tokenless.tlv");
    const TrustList list = decode_list(ByteView(golden));
    const Prepared prepared = prepare(krakow::tokenless());
    const auto parts = list.signed_parts();
    Bytes expected(parts[0].begin(), parts[0].end());
    expected.insert(expected.end(), parts[1].begin(), parts[1].end());
    EXPECT_EQ(prepared.octets, expected);
    EXPECT_EQ(prepared.digest, compute_digest(Digest::Sha1, parts));
    EXPECT_EQ(error_of([&] {
                  ListDraft draft = krakow::tokenless();
                  draft.records.erase(draft.records.begin());
                  prepare(draft);
              }),
              Errc::NotVerified);
}

class Attach : public ::testing::Test {
  protected:
    const Bytes golden_ = read_data("krakow/CTLFile-tokens.tlv");
    const TrustList list_ = decode_list(ByteView(golden_));
    const Prepared prepared_ = prepare(krakow::tokens());
    const Bytes signature_{list_.signature().begin(), list_.signature().end()};
};

TEST_F(Attach, MakesTheFile) {
    EXPECT_EQ(attach(prepared_.octets, signature_, {}), golden_);
    const AttachChecks checks{load_certificate(krakow::kSecondToken + ".pem"), prepared_.digest};
    EXPECT_EQ(attach(prepared_.octets, signature_, checks), golden_);
}

TEST_F(Attach, AnotherDigestThanTheApprovedOne) {
    Bytes digest = prepared_.digest;
    digest.front() ^= 1;
    EXPECT_EQ(error_of([&] { attach(prepared_.octets, signature_, {{}, digest}); }), Errc::DigestMismatch);
    EXPECT_EQ(error_of([&] { attach(prepared_.octets, signature_, {{}, Bytes{}}); }), Errc::DigestMismatch);
}

TEST_F(Attach, ASignatureThatDoesNotFit) {
    for (std::size_t i = 0; i < signature_.size(); ++i) {
        Bytes changed = signature_;
        changed[i] ^= 1;
        EXPECT_EQ(error_of([&] { attach(prepared_.octets, changed, {}); }), Errc::NotVerified);
    }
    const AttachChecks other{load_certificate(krakow::kFirstToken + ".pem"), {}};
    EXPECT_EQ(error_of([&] { attach(prepared_.octets, signature_, other); }), Errc::NotVerified);
}

TEST_F(Attach, ASignatureOfAnotherLength) {
    for (const std::size_t size : {0U, 127U, 129U, 256U}) {
        EXPECT_EQ(error_of([&] { attach(prepared_.octets, Bytes(size), {}); }), Errc::Malformed) << size;
    }
}

TEST_F(Attach, OctetsThatAreNotPrepared) {
    EXPECT_EQ(error_of([&] { attach(golden_, signature_, {}); }), Errc::Malformed);
    EXPECT_EQ(error_of([&] { attach({}, signature_, {}); }), Errc::Malformed);
    Bytes changed = prepared_.octets;
    changed.back() ^= 1;
    EXPECT_EQ(error_of([&] { attach(changed, signature_, {}); }), Errc::NotVerified);
}

TEST(Layouts, HaveNames) {
    for (const Layout layout : {Layout::Cucm, Layout::OpenTools})
        EXPECT_EQ(find_layout(to_text(layout)), layout);
    EXPECT_FALSE(find_layout("other"));
}

TEST(ResignDraft, NamesAnotherSignerOfTheListAsItsRecordDoes) {
    const TrustList list = decode_list(read_data("krakow/CTLFile-tokens.tlv"));
    FileKeySigner first(krakow::kFirstToken), second(krakow::kSecondToken);
    const auto draft = make_resign_draft(list, first.facts().certificate, 7);
    const TrustList resigned = decode_list(sign_list(draft, first));
    EXPECT_EQ(resigned.signer_name(), list.records()[0].subject());
    EXPECT_EQ(resigned.timestamp(), 7U);
    EXPECT_EQ(sign_list(make_resign_draft(resigned, second.facts().certificate, list.timestamp()), second),
              read_data("krakow/CTLFile-tokens.tlv"));
}

TEST(ResignDraft, RefusesAStrangerAndAListThatIsNotSignedAsItSays) {
    const auto stranger = load_certificate(std::string(krakow::kCapf) + ".pem");
    Bytes octets = read_data("krakow/CTLFile-tokens.tlv");
    EXPECT_EQ(error_of([&] { make_resign_draft(decode_list(ByteView(octets)), stranger, 0); }),
              Errc::RuleRefused);
    octets.back() ^= 1;
    const auto signer = load_certificate(std::string(krakow::kFirstToken) + ".pem");
    EXPECT_EQ(error_of([&] { make_resign_draft(decode_list(ByteView(octets)), signer, 0); }),
              Errc::NotVerified);
}

}  // namespace
}  // namespace ctlsign
