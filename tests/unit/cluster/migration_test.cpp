#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <ctlsign/cluster/migration.hpp>
#include <sast/error.hpp>
#include <tests/support/krakow.hpp>

namespace ctlsign::cluster {
namespace {

namespace krakow = testing::krakow;

Introduction introduction(Store store, const std::string& certificate) {
    return {"krakow", store, testing::load_certificate(certificate + ".pem")};
}

TEST(Introductions, ComeBackFromTheirFile) {
    const std::vector shown{introduction(Store::CallManager, krakow::kPublisher),
                            introduction(Store::ItlRecovery, krakow::kSubscriber)};
    const auto read =
        decode_introductions(encode_introductions(shown, "a passphrase"), "a passphrase", "file");
    ASSERT_EQ(read.size(), shown.size());
    for (std::size_t i = 0; i < shown.size(); ++i) {
        EXPECT_EQ(read[i].cluster, shown[i].cluster);
        EXPECT_EQ(read[i].store, shown[i].store);
        EXPECT_EQ(read[i].certificate, shown[i].certificate);
    }
}

TEST(Introductions, OneThatCannotBeWrittenFailsThem) {
    const std::vector shown{introduction(Store::CallManager, krakow::kPublisher),
                            Introduction{"krakow", Store::ItlRecovery, {}}};
    try {
        encode_introductions(shown, "a passphrase");
        ADD_FAILURE() << "an empty certificate was written";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), sast::Errc::MalformedCertificate);
    }
}

}  // namespace
}  // namespace ctlsign::cluster
