#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/tvs/certificate_store.hpp>
#include <tests/support/krakow.hpp>

namespace ctlsign::tvs {
namespace {

namespace krakow = testing::krakow;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::load_certificate;
using Source = CertificateStore::Source;

const sast::Certificate& publisher() {
    static const auto kCertificate = load_certificate(krakow::kPublisher + ".pem");
    return kCertificate;
}
const sast::Certificate& token() {
    static const auto kCertificate = load_certificate(krakow::kFirstToken + ".pem");
    return kCertificate;
}
TrustList tokens_ctl() {
    return decode_list(testing::read_data("krakow/CTLFile-tokens.tlv"));
}

CertificateStore::Found ask(const CertificateStore& store, const sast::Certificate& certificate,
                            NameStyle style) {
    const SignerId id = make_signer_id(certificate, style);
    return store.find(id.issuer, id.serial);
}

TEST(CertificateStore, FindsByTheKeyOfTheSpecification) {
    EXPECT_EQ(lookup_key("cn=Cisco Manufacturing CA;o=Cisco Systems", from_hex("83e9080000005545af31")),
              "83E9080000005545AF31cn=Cisco Manufacturing CA;o=Cisco Systems");
}

TEST(CertificateStore, DatabaseBeforeCtl) {
    const TrustList ctl = tokens_ctl();
    const DatabaseEntry own{publisher(), {Role::CcmTftp, Role::Sast}, 60};
    const CertificateStore both({&own, 1}, &ctl);
    const auto found = ask(both, publisher(), NameStyle::CallManager);
    EXPECT_EQ(found.source, Source::Database);
    EXPECT_THAT(found.answer.roles, ElementsAre(Role::Sast, Role::CcmTftp));
    EXPECT_EQ(found.answer.ttl, 60U);
    EXPECT_TRUE(equal(found.answer.certificate, publisher().der()));
    const CertificateStore ctl_alone({}, &ctl);
    EXPECT_EQ(ask(ctl_alone, publisher(), NameStyle::CallManager).source, Source::Ctl);
    EXPECT_THAT(ask(ctl_alone, publisher(), NameStyle::CallManager).answer.roles, ElementsAre(Role::CcmTftp));
    const CertificateStore database_alone({&own, 1}, nullptr);
    EXPECT_EQ(ask(database_alone, publisher(), NameStyle::CallManager).source, Source::Database);
    EXPECT_EQ(ask(database_alone, token(), NameStyle::CtlClient).source, Source::Nowhere);
}

TEST(CertificateStore, ATokenIsSastOnlyWhenUploaded) {
    const TrustList ctl = tokens_ctl();
    const CertificateStore before({}, &ctl);
    const auto refused = ask(before, token(), NameStyle::CtlClient);
    EXPECT_EQ(refused.answer.status, Status::Invalid);
    EXPECT_THAT(refused.answer.roles, IsEmpty());
    const DatabaseEntry uploaded{token(), {Role::Sast}};
    const CertificateStore after({&uploaded, 1}, &ctl);
    const auto found = ask(after, token(), NameStyle::CtlClient);
    EXPECT_EQ(found.answer.status, Status::Valid);
    EXPECT_EQ(found.source, Source::Ctl) << "its serial number is reversed: the database does not find it";
    EXPECT_THAT(found.answer.roles, ElementsAre(Role::Sast));
    const CertificateStore uploaded_alone({&uploaded, 1}, nullptr);
    EXPECT_EQ(ask(uploaded_alone, token(), NameStyle::CtlClient).source, Source::Nowhere);
}

TEST(CertificateStore, NamesAreNotRewritten) {
    const DatabaseEntry own{publisher(), {Role::Sast}};
    const CertificateStore store({&own, 1}, nullptr);
    const SignerId id = make_signer_id(publisher(), NameStyle::CallManager);
    EXPECT_EQ(store.find(id.issuer, id.serial).source, Source::Database);
    EXPECT_EQ(store.find(id.issuer + " ", id.serial).source, Source::Nowhere);
    Bytes longer{0};
    longer.insert(longer.end(), id.serial.begin(), id.serial.end());
    EXPECT_EQ(store.find(id.issuer, longer).source, Source::Nowhere);
    EXPECT_EQ(ask(store, publisher(), NameStyle::Rfc4514).source, Source::Database)
        << "lists of the open tools";
}

TEST(CertificateStore, RolesOfOneCertificateComeTogether) {
    const DatabaseEntry entries[] = {{publisher(), {Role::Tftp}}, {publisher(), {Role::Sast}}};
    const CertificateStore store(entries, nullptr);
    EXPECT_THAT(ask(store, publisher(), NameStyle::CallManager).answer.roles,
                ElementsAre(Role::Sast, Role::Tftp));
    EXPECT_EQ(store.database_size(), 1U);
}

TEST(CertificateStore, Responds) {
    const DatabaseEntry own{publisher(), {Role::Sast, Role::Tftp}};
    const CertificateStore store({&own, 1}, nullptr);
    const SignerId id = make_signer_id(publisher(), NameStyle::CallManager);
    Source source{};
    const Message query = store.respond({77, 0, QueryRequest{"SEP1", id.name, id.issuer, id.serial}}, source);
    EXPECT_EQ(query.id, 77U);
    EXPECT_EQ(source, Source::Database);
    // 4 status, 3 + DER, 5 roles, 7 TTL, as in the captured response.
    EXPECT_EQ(encode(query).size(), kHeaderLength + 4 + 3 + publisher().der().size() + 5 + 7);
    const Bytes der(publisher().der().begin(), publisher().der().end());
    const Message verify = store.respond({78, 0, VerifyRequest{"SEP1", der}}, source);
    EXPECT_EQ(verify.type(), MessageType::VerifyResponse);
    EXPECT_EQ(std::get<VerifyResponse>(verify.body).status, Status::Valid);
    const Message unknown = store.respond({79, 0, VerifyRequest{"SEP1", Bytes{1}}}, source);
    EXPECT_EQ(source, Source::Nowhere);
    EXPECT_EQ(encode(unknown), from_hex("570102000000004F 0004 07000101"));
}

}  // namespace
}  // namespace ctlsign::tvs
