#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/extract.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <ctlsign/trustlist/verify.hpp>

namespace ctlsign {

namespace {

// The verdict's warnings about expiry are not asked for here.
constexpr std::chrono::sys_seconds kNoTime{};

[[noreturn]] void not_verified(std::string_view step, std::string_view why) {
    throw Error(Errc::NotVerified, step, {}, why);
}

// What a reader with this file alone would answer; CERTIFICATE helps where the signer's record is a hash.
Verdict ask(const TrustList& list, std::span<const sast::Certificate> certificate) {
    Verdict verdict = verify(list, {}, kNoTime);
    if (verdict.outcome != Outcome::KeyNotHere || certificate.empty()) return verdict;
    return verify(list, {{}, certificate}, kNoTime);
}

Verdict ask(const SgnFile& file, std::span<const sast::Certificate> certificate) {
    return verify(file, {{}, certificate}, kNoTime);
}

void expect_signable(const Verdict& verdict) {
    if (verdict.rule == Rule::SignerUnknown) {
        not_verified("checking before the signature",
                     "no SAST record names the signer as the header does: is it in the list, and in the same "
                     "name-style?");
    }
    if (verdict.rule != Rule::NotSigned) not_verified("checking before the signature", to_text(verdict));
}

void expect_verified(const Verdict& verdict) {
    if (verdict.outcome != Outcome::Verified) not_verified("checking the signature", to_text(verdict));
}

void check_key_size(const HeaderDraft& header, const sast::Signer::Facts& facts) {
    if (header.key_bits == facts.key_bits && facts.signature_length == facts.key_bits / 8) return;
    throw Error(Errc::Unencodable, "checking before the signature", facts.description,
                fmt::format("the header is for a key of {} bits, the signer's has {}", header.key_bits,
                            facts.key_bits));
}

// The record that names the signer must be the signer's: found out before a PIN is spent.
void check_record(const TrustList& list, const Verdict& verdict, const sast::Signer::Facts& facts) {
    const auto stored = list.records()[verdict.record.value()].certificate();
    if (stored &&
        !equal(sast::CertificateView::decode(*stored).public_key(), facts.certificate.public_key())) {
        not_verified("checking before the signature", fmt::format("record {} does not hold the key of {}",
                                                                  *verdict.record + 1, facts.description));
    }
}

}  // namespace

Bytes sign_list(const ListDraft& draft, sast::Signer& signer) {
    const sast::Signer::Facts& facts = signer.facts();
    const std::span certificate(&facts.certificate, 1);
    const ToSign to_sign = encode(draft);
    check_key_size(draft.header, facts);
    const TrustList waiting = decode_unsigned_list(to_sign.octets);
    const Verdict before = ask(waiting, certificate);
    expect_signable(before);
    check_record(waiting, before, facts);

    Bytes file = splice(to_sign, signer.sign(draft.header.digest, to_sign.octets));
    expect_verified(ask(decode_list(ByteView(file)), certificate));
    return file;
}

HeaderDraft make_sgn_header(const sast::Certificate& signer, std::string filename, Digest digest,
                            NameStyle style, Layout layout, std::uint32_t timestamp) {
    HeaderDraft header;
    header.version = kSgnVersion;
    header.signer = make_signer_id(signer, style);
    header.digest = digest;
    header.key_bits = signer.key_bits();
    header.filename = std::move(filename);
    header.timestamp = timestamp;
    header.layout = layout;
    return header;
}

Bytes sign_payload(const HeaderDraft& header, ByteView payload, sast::Signer& signer) {
    const sast::Signer::Facts& facts = signer.facts();
    const std::span certificate(&facts.certificate, 1);
    const ToSign to_sign = encode(header, payload);
    check_key_size(header, facts);
    expect_signable(ask(decode_unsigned_sgn(to_sign.octets), certificate));

    Bytes file = splice(to_sign, signer.sign(header.digest, to_sign.octets));
    expect_verified(ask(decode_sgn(ByteView(file)), certificate));
    return file;
}

ListDraft make_resign_draft(const TrustList& list, const sast::Certificate& signer, std::uint32_t timestamp) {
    const Verdict before = verify(list, {}, kNoTime);
    if (before.outcome == Outcome::Refused) not_verified("signing anew", to_text(before));
    const auto own = std::ranges::find_if(list.records(), [&](const Record& record) {
        return record.role() == Role::Sast && record.certificate() &&
               equal(*record.certificate(), signer.der());
    });
    if (own == list.records().end() || !own->subject() || !own->issuer() || !own->serial()) {
        throw Error(Errc::RuleRefused, "signing anew", signer.subject_text(),
                    "rule signer-is-sast: it is no SAST of the file, so phones would refuse it; sign with a "
                    "token or key that the list names");
    }
    const ByteView serial = *own->serial();
    ListDraft draft;
    draft.header = {
        list.version(),
        list.signer_version(),
        {std::string(*own->subject()), std::string(*own->issuer()), Bytes(serial.begin(), serial.end())},
        list.digest(),
        signer.key_bits(),
        std::string(list.filename()),
        timestamp,
        recognise_layout(list)};
    for (const Record& record : list.records()) {
        RecordDraft copy;
        copy.raw = Bytes(record.octets().begin(), record.octets().end());
        draft.records.push_back(std::move(copy));
    }
    return draft;
}

Prepared prepare(const ListDraft& draft) {
    ToSign to_sign = encode(draft);
    const Verdict verdict = ask(decode_unsigned_list(to_sign.octets), {});
    // A hash record names the signer well enough: its certificate can be given to attach.
    if (verdict.outcome != Outcome::KeyNotHere) expect_signable(verdict);
    const std::array<ByteView, 1> whole{to_sign.octets};
    Bytes digest = compute_digest(draft.header.digest, whole);
    return {std::move(to_sign.octets), std::move(digest)};
}

Bytes attach(ByteView prepared, ByteView signature, const AttachChecks& checks) {
    const TrustList waiting = decode_unsigned_list(prepared);
    if (checks.digest) {
        const std::array<ByteView, 1> whole{prepared};
        const Bytes digest = compute_digest(waiting.digest(), whole);
        if (!equal(digest, *checks.digest)) {
            throw Error(Errc::DigestMismatch, "attaching a signature", {},
                        fmt::format("{} is {}, approved was {}", to_text(waiting.digest()), to_hex(digest),
                                    to_hex(*checks.digest)));
        }
    }
    const ToSign to_sign{Bytes(prepared.begin(), prepared.end()), waiting.signature_position(),
                         waiting.key_bits() / 8};
    Bytes file = splice(to_sign, signature);
    const TrustList list = decode_list(ByteView(file));
    TrustAnchors anchors;
    if (checks.certificate) anchors.certificates = {&*checks.certificate, 1};
    expect_verified(verify(list, anchors, kNoTime));
    return file;
}

}  // namespace ctlsign
