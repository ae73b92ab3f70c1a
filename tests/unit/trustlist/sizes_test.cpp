#include <gtest/gtest.h>

#include <algorithm>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <tests/support/krakow.hpp>

// Each row of the table "Worked sizes" of the trust-list format.
namespace ctlsign {
namespace {

namespace krakow = testing::krakow;

struct Sizes {
    std::size_t signer_id = 0, header = 0, file = 0;
    std::vector<std::size_t> records{};
};

Sizes sizes_of(const ListDraft& draft) {
    const ToSign to_sign = encode(draft);
    const TrustList list = decode_list(splice(to_sign, Bytes(to_sign.signature_length)));
    Sizes sizes;
    const auto* signer_id = std::ranges::find(list.header(), 3, &Element::tag).base();
    sizes.signer_id = signer_id->value.size();
    sizes.header = list.header_length();
    sizes.file = list.octets().size();
    EXPECT_EQ(sizes.file, signed_size(to_sign.octets.size(), to_sign.signature_length));
    for (const Record& record : list.records()) sizes.records.push_back(record.octets().size());
    return sizes;
}

using Records = std::vector<std::size_t>;

TEST(WorkedSizes, Tokenless) {
    const Sizes sizes = sizes_of(krakow::tokenless());
    EXPECT_EQ(sizes.signer_id, 149U);
    EXPECT_EQ(sizes.header, 336U);
    EXPECT_EQ(sizes.records, (Records{1156, 1156, 1138, 1161}));
    EXPECT_EQ(sizes.file, 4947U);
}

TEST(WorkedSizes, MixedModeWithTwoTokens) {
    const Sizes sizes = sizes_of(krakow::tokens());
    EXPECT_EQ(sizes.signer_id, 117U);
    EXPECT_EQ(sizes.header, 304U);
    EXPECT_EQ(sizes.records, (Records{1186, 1022, 1004, 1026, 1186}));
    EXPECT_EQ(sizes.file, 5728U);
}

TEST(WorkedSizes, NonSecureWithTwoTokens) {
    ListDraft draft = krakow::tokens();
    draft.records[1] = krakow::bare_record("10.48.47.153", krakow::kPublisherAddress);
    draft.records[3] = krakow::bare_record("10.48.47.154", krakow::kSubscriberAddress);
    const Sizes sizes = sizes_of(draft);
    EXPECT_EQ(sizes.records, (Records{1186, 33, 1004, 33, 1186}));
    EXPECT_EQ(sizes.file, 3746U);
}

TEST(WorkedSizes, CallManagerWithRsa2048) {
    ListDraft draft = krakow::tokenless();
    draft.records = {krakow::record(krakow::kRegenerated, NameStyle::CallManager, Role::CcmTftp,
                                    CertificateSignature::Write, "cucm-1051-a-pub",
                                    krakow::kPublisherAddress)};
    EXPECT_EQ(sizes_of(draft).records, Records{1675});
}

TEST(WorkedSizes, SignerVersionIsFiveOctets) {
    ListDraft draft = krakow::tokenless();
    draft.header.signer_version = Version{1, 1};
    EXPECT_EQ(sizes_of(draft).header, 340U);  // 338, padded
}

}  // namespace
}  // namespace ctlsign
