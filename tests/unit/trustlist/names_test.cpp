#include <gtest/gtest.h>
#include <openssl/x509.h>

#include <memory>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <sast/error.hpp>
#include <tests/support/krakow.hpp>

namespace ctlsign {
namespace {

namespace krakow = testing::krakow;
using testing::load_certificate;

struct Rdn {
    const char* key;
    std::string value;
    int set = 0;  // -1: in the RDN before it
};

Bytes make_name(const std::vector<Rdn>& rdns) {
    const std::unique_ptr<X509_NAME, decltype(&X509_NAME_free)> name(X509_NAME_new(), &X509_NAME_free);
    for (const Rdn& rdn : rdns) {
        const std::unique_ptr<ASN1_OBJECT, decltype(&ASN1_OBJECT_free)> object(OBJ_txt2obj(rdn.key, 0),
                                                                               &ASN1_OBJECT_free);
        X509_NAME_add_entry_by_OBJ(name.get(), object.get(), MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(rdn.value.data()),
                                   static_cast<int>(rdn.value.size()), -1, rdn.set);
    }
    unsigned char* der = nullptr;
    const int size = i2d_X509_NAME(name.get(), &der);
    Bytes bytes(der, der + size);
    OPENSSL_free(der);
    return bytes;
}

TEST(Names, CallManagerHasAFixedOrder) {
    const auto publisher = load_certificate(krakow::kPublisher + ".pem");
    const std::string expected = "CN=cucm-1051-a-pub;OU=TAC;O=Cisco;L=Krakow;ST=Malopolska;C=PL";
    EXPECT_EQ(name_text(publisher.subject_der(), NameStyle::CallManager), expected);
    EXPECT_EQ(expected.size(), 61U);
    const Bytes mixed =
        make_name({{"C", "PL"}, {"emailAddress", "a@b"}, {"OU", "2"}, {"CN", "x"}, {"OU", "1"}});
    EXPECT_EQ(name_text(mixed, NameStyle::CallManager), "CN=x;OU=2;OU=1;C=PL;emailAddress=a@b");
}

TEST(Names, CtlClientQuotesAndCutsAtCommas) {
    const auto token = load_certificate(krakow::kSecondToken + ".pem");
    const std::string subject = name_text(token.subject_der(), NameStyle::CtlClient);
    EXPECT_EQ(subject, R"(cn="SAST-ADN008580ef        ";ou=IPCBU;o="Cisco Systems)");
    EXPECT_EQ(subject.size(), 55U);
    EXPECT_EQ(name_text(token.issuer_der(), NameStyle::CtlClient),
              "cn=Cisco Manufacturing CA;o=Cisco Systems");
}

TEST(Names, Rfc4514KeepsTheOrderAndEscapes) {
    const auto sast = load_certificate("open-tools/sast.pem");
    EXPECT_EQ(name_text(sast.subject_der(), NameStyle::Rfc4514), "O=Test,OU=sast,CN=sast");
    const Bytes odd = make_name({{"O", "A, B"}, {"CN", "#x\\y+z"}, {"UID", "7", -1}, {"OU", " \"<>;= "}});
    EXPECT_EQ(name_text(odd, NameStyle::Rfc4514), R"(O=A\, B,CN=\#x\\y\+z+UID=7,OU=\ \"\<\>\;=\ )");
}

TEST(Names, UnknownAttributesHaveTheirNumber) {
    EXPECT_EQ(name_text(make_name({{"1.2.3.4", "x"}, {"CN", "y"}}), NameStyle::CallManager),
              "CN=y;1.2.3.4=x");
}

TEST(Names, Utf8) {
    EXPECT_EQ(name_text(make_name({{"L", "Krak\u00f3w"}}), NameStyle::CallManager), "L=Krak\u00f3w");
}

TEST(Names, ANulInAValueIsRefused) {
    const Bytes name = make_name({{"CN", std::string("a\0b", 3)}});
    try {
        name_text(name, NameStyle::CallManager);
        FAIL() << "written";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), Errc::Unencodable);
    }
}

TEST(Names, OctetsThatAreNoName) {
    Bytes name = make_name({{"CN", "a"}});
    name.push_back(0);
    for (const Bytes& octets : {Bytes{}, Bytes{0x30}, name}) {
        try {
            name_text(octets, NameStyle::Rfc4514);
            FAIL() << "read";
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), sast::Errc::MalformedCertificate);
        }
    }
}

TEST(Names, StylesHaveNames) {
    for (const NameStyle style : {NameStyle::CallManager, NameStyle::CtlClient, NameStyle::Rfc4514}) {
        EXPECT_EQ(find_name_style(to_text(style)), style);
    }
    EXPECT_FALSE(find_name_style("x500"));
}

TEST(Serials, OrderOfEachStyle) {
    const Bytes serial{0x00, 0x83, 0x01};
    EXPECT_EQ(serial_octets(serial, NameStyle::CallManager), serial);
    EXPECT_EQ(serial_octets(serial, NameStyle::CtlClient), (Bytes{0x01, 0x83, 0x00}));
    EXPECT_EQ(serial_octets(serial, NameStyle::Rfc4514), (Bytes{0x83, 0x01}));
    EXPECT_EQ(serial_octets(Bytes{0}, NameStyle::Rfc4514), Bytes{0});
    const auto token = load_certificate(krakow::kSecondToken + ".pem");
    EXPECT_EQ(to_hex(serial_octets(token.serial(), NameStyle::CtlClient), ":"),
              "83:E9:08:00:00:00:55:45:AF:31");
}

TEST(Serials, SameNumberInEitherOrderWithoutZeros) {
    const Bytes number{0x00, 0x12, 0x34};
    for (const Bytes& stored : {Bytes{0x12, 0x34}, Bytes{0x00, 0x12, 0x34}, Bytes{0x00, 0x00, 0x12, 0x34},
                                Bytes{0x34, 0x12}, Bytes{0x34, 0x12, 0x00}}) {
        EXPECT_TRUE(same_serial(stored, number)) << to_hex(stored);
    }
    for (const Bytes& stored : {Bytes{}, Bytes{0x12}, Bytes{0x12, 0x34, 0x00}, Bytes{0x12, 0x35}}) {
        EXPECT_FALSE(same_serial(stored, number)) << to_hex(stored);
    }
    EXPECT_TRUE(same_serial(Bytes{0x00, 0x12}, Bytes{0x12, 0x00}));
}

TEST(MakeRecord, TakesWhatTheCertificateSays) {
    const auto certificate = load_certificate("open-tools/apache-ec.pem");
    const RecordDraft record =
        make_record(certificate, NameStyle::Rfc4514, Role::Tftp, CertificateSignature::Write);
    EXPECT_EQ(record.subject, "O=Test,OU=apache-ec,CN=apache-ec");
    EXPECT_EQ(record.role, Role::Tftp);
    EXPECT_EQ(record.public_key->size(), 97U);
    EXPECT_EQ(record.public_key->front(), 4);
    EXPECT_EQ(record.signature->size(), 102U);
    EXPECT_FALSE(record.dns_name);
    EXPECT_FALSE(record.ip_address);
    EXPECT_FALSE(
        make_record(certificate, NameStyle::Rfc4514, Role::Tftp, CertificateSignature::Omit).signature);
}

}  // namespace
}  // namespace ctlsign
