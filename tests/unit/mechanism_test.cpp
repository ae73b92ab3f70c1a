#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include <pkcs11/mechanism.hpp>

namespace ctlsign::pkcs11 {
namespace {

MechanismInfo offer(Mechanism mechanism, unsigned long min = 512, unsigned long max = 4096) {
    return {.mechanism = mechanism, .min_key_bits = min, .max_key_bits = max, .can_sign = true};
}

std::vector<Mechanism> chosen(const MechanismPlan& plan) {
    std::vector<Mechanism> list;
    for (const auto& step : plan.steps) list.push_back(step.mechanism);
    return list;
}

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(MechanismPlan, PrefersTheCombinedMechanism) {
    const std::vector offers{offer(Mechanism::RsaX509), offer(Mechanism::RsaPkcs),
                             offer(Mechanism::Sha1RsaPkcs), offer(Mechanism::Sha256RsaPkcs),
                             offer(Mechanism::Sha512RsaPkcs)};
    EXPECT_THAT(chosen(plan_signature(Digest::Sha1, 1024, offers)),
                ElementsAre(Mechanism::Sha1RsaPkcs, Mechanism::RsaPkcs, Mechanism::RsaX509));
    EXPECT_EQ(plan_signature(Digest::Sha256, 1024, offers).steps.front().mechanism, Mechanism::Sha256RsaPkcs);
    EXPECT_EQ(plan_signature(Digest::Sha512, 1024, offers).steps.front().mechanism, Mechanism::Sha512RsaPkcs);
}

TEST(MechanismPlan, StepsDownToWhatIsOffered) {
    const std::vector only_pkcs{offer(Mechanism::RsaPkcs)};
    const auto plan = plan_signature(Digest::Sha512, 2048, only_pkcs);
    ASSERT_EQ(plan.steps.size(), 1U);
    EXPECT_EQ(plan.steps[0].input, InputForm::DigestInfo);
    EXPECT_THAT(plan.explanation.at(0), HasSubstr("CKM_SHA512_RSA_PKCS: left out, not offered"));
    EXPECT_TRUE(plan_signature(Digest::Sha1, 1024, {}).steps.empty());
    EXPECT_EQ(plan_signature(Digest::Sha1, 1024, {}).explanation.size(), 3U);
}

TEST(MechanismPlan, LeavesOutADigestThatAKeyHasNoRoomFor) {
    const std::vector offers{offer(Mechanism::RsaX509), offer(Mechanism::RsaPkcs),
                             offer(Mechanism::Sha512RsaPkcs)};
    const auto plan = plan_signature(Digest::Sha512, 512, offers);
    EXPECT_TRUE(plan.steps.empty());
    EXPECT_THAT(plan.explanation, ::testing::Each(HasSubstr("too short for this digest")));
    EXPECT_EQ(plan_signature(Digest::Sha256, 512, offers).steps.size(), 2U);
    EXPECT_TRUE(fits_key(Digest::Sha512, 752));
    EXPECT_FALSE(fits_key(Digest::Sha512, 744));
}

TEST(MechanismPlan, RespectsKeySizesAndWhatTheKeyAllows) {
    const std::vector offers{offer(Mechanism::Sha1RsaPkcs, 2048, 4096), offer(Mechanism::RsaPkcs, 64, 512),
                             offer(Mechanism::RsaX509, 0, 0)};
    EXPECT_THAT(chosen(plan_signature(Digest::Sha1, 1024, offers)),
                ElementsAre(Mechanism::RsaPkcs, Mechanism::RsaX509))
        << "512 as a largest size means octets";
    EXPECT_THAT(chosen(plan_signature(Digest::Sha1, 2048, offers, {{Mechanism::RsaX509}})),
                ElementsAre(Mechanism::RsaX509));
    EXPECT_TRUE(plan_signature(Digest::Sha1, 2048, offers, std::vector<Mechanism>{}).steps.empty());
    std::vector not_signing{offer(Mechanism::Sha1RsaPkcs)};
    not_signing[0].can_sign = false;
    EXPECT_TRUE(plan_signature(Digest::Sha1, 1024, not_signing).steps.empty());
}

TEST(MechanismPlan, LeavesOutWhatTheQuirksRuleOut) {
    const std::vector offers{offer(Mechanism::RsaPkcs), offer(Mechanism::Sha1RsaPkcs),
                             offer(Mechanism::Sha256RsaPkcs)};
    Quirks quirks;
    quirks.no_combined_sha1 = true;
    const auto plan = plan_signature(Digest::Sha1, 1024, offers, std::nullopt, quirks);
    EXPECT_THAT(chosen(plan), ElementsAre(Mechanism::RsaPkcs));
    EXPECT_THAT(plan.explanation.at(0), HasSubstr("CKM_SHA1_RSA_PKCS: left out, does not work"));
    EXPECT_THAT(chosen(plan_signature(Digest::Sha256, 1024, offers, std::nullopt, quirks)),
                ElementsAre(Mechanism::Sha256RsaPkcs, Mechanism::RsaPkcs));
}

TEST(EncodeInput, PadsAsRfc8017Says) {
    const Bytes message{'a', 'b', 'c'};
    const Bytes info = encode_input({Mechanism::RsaPkcs, InputForm::DigestInfo}, Digest::Sha1, message, 128);
    EXPECT_EQ(to_hex(info), "3021300906052B0E03021A05000414A9993E364706816ABA3E25717850C26C9CD0D89D");
    const Bytes block =
        encode_input({Mechanism::RsaX509, InputForm::PaddedBlock}, Digest::Sha1, message, 128);
    ASSERT_EQ(block.size(), 128U);
    EXPECT_EQ(to_hex(ByteView(block).first(4)), "0001FFFF");
    EXPECT_EQ(to_hex(ByteView(block).subspan(128 - 37, 3)), "FF0030");
    EXPECT_TRUE(equal(ByteView(block).last(info.size()), info));
    EXPECT_EQ(encode_input({Mechanism::Sha1RsaPkcs, InputForm::Message}, Digest::Sha1, message, 128),
              message);
    EXPECT_THROW(encode_input({Mechanism::RsaX509, InputForm::PaddedBlock}, Digest::Sha512, message, 64),
                 std::length_error)
        << "SHA-512 does not fit an RSA-512 key";
}

}  // namespace
}  // namespace ctlsign::pkcs11
