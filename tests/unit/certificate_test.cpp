#include <gtest/gtest.h>

#include <sast/certificate.hpp>
#include <sast/error.hpp>
#include <tests/support/data.hpp>

namespace ctlsign::sast {
namespace {

using testing::read_text;

Certificate load(const std::string& name) {
    const auto certificates = Certificate::decode_pem(read_text(name));
    EXPECT_EQ(certificates.size(), 1U);
    return certificates.at(0);
}

TEST(Certificate, KrakowPublisher) {
    const Certificate c = load("krakow/certificates/cucm-1051-a-pub.pem");
    EXPECT_EQ(c.der().size(), 694U);
    EXPECT_EQ(c.serial().size(), 16U);
    EXPECT_EQ(c.public_key().size(), 140U);
    EXPECT_EQ(c.signature().size(), 128U);
    EXPECT_EQ(c.key_kind(), KeyKind::Rsa);
    EXPECT_EQ(c.key_bits(), 1024U);
    EXPECT_EQ(c.common_name(), "cucm-1051-a-pub");
    EXPECT_LT(c.not_before(), c.not_after());
    EXPECT_EQ(Certificate::decode_pem(c.to_pem()).at(0), c);
}

TEST(Certificate, EllipticCurve) {
    const Certificate c = load("open-tools/apache-ec.pem");
    EXPECT_EQ(c.key_kind(), KeyKind::Ec);
    EXPECT_EQ(c.public_key().front(), 4);
}

TEST(Certificate, TruncatedOrChangedLengthIsRefused) {
    const Certificate c = load("krakow/certificates/cucm-1051-a-pub.pem");
    const Bytes der(c.der().begin(), c.der().end());
    for (std::size_t size = 0; size < der.size(); ++size) {
        EXPECT_THROW(Certificate::decode(ByteView(der).first(size)), Error) << size;
    }
    Bytes longer = der;
    longer.push_back(0);
    EXPECT_THROW(Certificate::decode(longer), Error);
}

TEST(Certificate, AnySingleByteChangedNeverCrashes) {
    const Certificate c = load("krakow/tokens/SAST-ADN008580ef.pem");
    Bytes der(c.der().begin(), c.der().end());
    for (std::size_t i = 0; i < der.size(); ++i) {
        for (const std::uint8_t flip : Bytes{0x01, 0x80, 0xFF}) {
            der[i] ^= flip;
            try {
                const Certificate changed = Certificate::decode(der);
                EXPECT_LE(changed.public_key().size(), der.size());
            } catch (const Error& e) {
                EXPECT_EQ(e.code(), Errc::MalformedCertificate);
            }
            der[i] ^= flip;
        }
    }
}

TEST(Certificate, PemWithoutCertificateIsEmpty) {
    EXPECT_TRUE(Certificate::decode_pem("").empty());
    EXPECT_TRUE(Certificate::decode_pem(read_text("krakow/certificates/CAPF-e41e7d87.key")).empty());
}

}  // namespace
}  // namespace ctlsign::sast
