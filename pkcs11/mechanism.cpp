#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include <pkcs11/mechanism.hpp>

namespace ctlsign::pkcs11 {

std::string to_text(Mechanism mechanism) {
    switch (mechanism) {
        case Mechanism::RsaPkcsKeyPairGen:
            return "CKM_RSA_PKCS_KEY_PAIR_GEN";
        case Mechanism::RsaPkcs:
            return "CKM_RSA_PKCS";
        case Mechanism::RsaX509:
            return "CKM_RSA_X_509";
        case Mechanism::Sha1RsaPkcs:
            return "CKM_SHA1_RSA_PKCS";
        case Mechanism::Sha256RsaPkcs:
            return "CKM_SHA256_RSA_PKCS";
        case Mechanism::Sha384RsaPkcs:
            return "CKM_SHA384_RSA_PKCS";
        case Mechanism::Sha512RsaPkcs:
            return "CKM_SHA512_RSA_PKCS";
    }
    return fmt::format("CKM_0x{:x}", static_cast<unsigned long>(mechanism));
}

static std::array<SignatureStep, 3> ways(Digest digest) {
    const Mechanism combined = digest == Digest::Sha1     ? Mechanism::Sha1RsaPkcs
                               : digest == Digest::Sha256 ? Mechanism::Sha256RsaPkcs
                                                          : Mechanism::Sha512RsaPkcs;
    return {{{combined, InputForm::Message},
             {Mechanism::RsaPkcs, InputForm::DigestInfo},
             {Mechanism::RsaX509, InputForm::PaddedBlock}}};
}

static std::string_view to_text(InputForm form) {
    switch (form) {
        case InputForm::Message:
            return "the token digests and pads";
        case InputForm::DigestInfo:
            return "the digest is computed here, the token pads";
        case InputForm::PaddedBlock:
            return "digest and padding are computed here";
    }
    return "";
}

// Why INFO does not serve for a key of KEY_BITS; empty when it does.
static std::string objection(const MechanismInfo& info, unsigned key_bits) {
    if (!info.can_sign) return "not for signing";
    // Some modules tell RSA sizes in octets: nobody means a largest key of 512 bits or less.
    const unsigned long unit =
        info.max_key_bits != 0 && info.max_key_bits <= 512 && key_bits > info.max_key_bits ? 8 : 1;
    if (info.max_key_bits != 0 && key_bits > info.max_key_bits * unit) {
        return fmt::format("keys of at most {} bits, this one has {}", info.max_key_bits * unit, key_bits);
    }
    if (key_bits < info.min_key_bits * unit) {
        return fmt::format("keys of at least {} bits, this one has {}", info.min_key_bits * unit, key_bits);
    }
    return {};
}

std::vector<Mechanism> candidate_mechanisms(Digest digest) {
    std::vector<Mechanism> candidates;
    for (const SignatureStep& way : ways(digest)) candidates.push_back(way.mechanism);
    return candidates;
}

MechanismPlan plan_signature(Digest digest, unsigned key_bits, std::span<const MechanismInfo> offers,
                             const std::optional<std::vector<Mechanism>>& allowed, const Quirks& quirks) {
    MechanismPlan plan;
    const bool fits = fits_key(digest, key_bits);
    for (const SignatureStep& way : ways(digest)) {
        const std::string name = to_text(way.mechanism);
        const auto offer = std::ranges::find(offers, way.mechanism, &MechanismInfo::mechanism);
        std::string left = offer == offers.end() ? "not offered by the token"
                           : !fits               ? "the key is too short for this digest"
                                                 : objection(*offer, key_bits);
        if (left.empty() && allowed && std::ranges::find(*allowed, way.mechanism) == allowed->end()) {
            left = "not among the key's CKA_ALLOWED_MECHANISMS";
        }
        if (left.empty() && quirks.no_combined_sha1 && way.mechanism == Mechanism::Sha1RsaPkcs) {
            left = "does not work on this kind of token";
        }
        if (left.empty()) {
            plan.steps.push_back(way);
            plan.explanation.push_back(
                fmt::format("{}: {}{}", name, to_text(way.input),
                            plan.steps.size() == 1 ? "" : "; if the one before is rejected"));
        } else {
            plan.explanation.push_back(fmt::format("{}: left out, {}", name, left));
        }
    }
    return plan;
}

// RFC 8017, 9.2: eight octets of 0xFF, and three others.
static constexpr std::size_t kLeastPadding = 11;

bool fits_key(Digest digest, unsigned key_bits) {
    return compute_digest_info(digest, {}).size() + kLeastPadding <= (key_bits + 7) / 8;
}

Bytes encode_input(SignatureStep step, Digest digest, ByteView message, std::size_t modulus_size) {
    if (step.input == InputForm::Message) return Bytes(message.begin(), message.end());
    Bytes info = compute_digest_info(digest, {{message}});
    if (step.input == InputForm::DigestInfo) return info;
    // EMSA-PKCS1-v1_5: 00 01 FF..FF 00 DigestInfo, with at least eight FF.
    if (modulus_size < info.size() + kLeastPadding) {
        throw std::length_error("the key is too short for this digest");
    }
    Bytes block(modulus_size, 0xFF);
    block[0] = 0x00;
    block[1] = 0x01;
    block[modulus_size - info.size() - 1] = 0x00;
    std::ranges::copy(info, block.end() - static_cast<std::ptrdiff_t>(info.size()));
    return block;
}

}  // namespace ctlsign::pkcs11
