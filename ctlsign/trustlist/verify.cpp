#include <algorithm>
#include <array>

#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <sast/error.hpp>
#include <sast/public_key.hpp>

namespace ctlsign {

namespace {

constexpr Version kNewestList{1, 2};
constexpr unsigned kModestKeyBits = 2048;
constexpr std::size_t kMostKeys = 16;  // more than one cluster signs with

// WANTED is Sast for a trust list, Tftp for a payload.
bool may_sign(Role role, Role wanted) noexcept {
    return role == wanted || (wanted == Role::Tftp && role == Role::CcmTftp);
}

// The records that the header names, by issuer AND serial number as stored.
struct Named {
    std::optional<std::size_t> first{};
    std::optional<std::size_t> duplicate{};  // another one, with the same key
    std::optional<std::size_t> conflict{};   // another one, with another key
};

bool same_value(const Record& a, const Record& b, RecordTag tag) noexcept {
    const auto x = a.find(tag), y = b.find(tag);
    return x.has_value() == y.has_value() && (!x || equal(*x, *y));
}

Named find_signer(std::span<const Record> records, const SignedFile& file, Role role) {
    Named named;
    for (std::size_t i = 0; i < records.size(); ++i) {
        const Record& record = records[i];
        const auto function = record.role();
        const auto serial = record.serial();
        if (!function || !may_sign(*function, role) || !serial || !equal(*serial, file.signer_serial()) ||
            record.issuer() != file.signer_issuer()) {
            continue;
        }
        if (!named.first) {
            named.first = i;
            continue;
        }
        const bool same = same_value(record, records[*named.first], RecordTag::Certificate) &&
                          same_value(record, records[*named.first], RecordTag::PublicKey) &&
                          same_value(record, records[*named.first], RecordTag::CertificateHash);
        (same ? named.duplicate : named.conflict) = i;
    }
    return named;
}

std::optional<sast::CertificateView> read_certificate(ByteView der) {
    try {
        return sast::CertificateView::decode(der);
    } catch (const Error&) {
        return std::nullopt;
    }
}

// What is wrong between a record and its certificate; nothing when they belong together.
std::optional<Rule> compare(const Record& record, const sast::CertificateView& certificate) noexcept {
    const auto key = record.public_key();
    if (key && !equal(*key, certificate.public_key())) return Rule::RecordKeyDiffers;
    const auto serial = record.serial();
    if (serial && !same_serial(*serial, certificate.serial())) return Rule::RecordSerialDiffers;
    return std::nullopt;
}

bool has_hash_of(const Record& record, ByteView certificate) {
    const auto hash = record.certificate_hash();
    const auto algorithm = record.hash_algorithm();
    if (!hash || !algorithm) return false;
    const std::array<ByteView, 1> whole{certificate};
    return equal(*hash, compute_digest(*algorithm, whole));
}

// True when the header names the holder of CERTIFICATE, in any style of names.
bool names_holder(const SignedFile& file, const sast::CertificateView& certificate) {
    if (!same_serial(file.signer_serial(), certificate.serial())) return false;
    for (const NameStyle style : {NameStyle::CallManager, NameStyle::CtlClient, NameStyle::Rfc4514}) {
        try {
            if (name_text(certificate.issuer_der(), style) == file.signer_issuer()) return true;
        } catch (const Error&) {
            return false;  // an issuer that no style can write is named by no header
        }
    }
    return false;
}

}  // namespace

// One run of the rules. A function that answers false has written the rule that decided.
class Judge {
  public:
    Judge(Verifier& verifier, const SignedFile& file, std::span<const Record> own, Role role,
          std::chrono::sys_seconds now)
        : verifier_(verifier),
          anchors_(verifier.anchors_),
          file_(file),
          own_(own),
          role_(role),
          now_(now.time_since_epoch().count()) {}

    Verdict judge(Version newest) {
        verdict_.signer = {std::string(file_.signer_name()), std::string(file_.signer_issuer()),
                           Bytes(file_.signer_serial().begin(), file_.signer_serial().end())};
        warn_about_file(newest);
        const auto certificate = decide_key();
        if (certificate && key_fits(*certificate)) check_signature(*certificate);
        warn_about_records();
        return std::move(verdict_);
    }

  private:
    std::nullopt_t decide(Rule rule) {
        verdict_.rule = rule;
        verdict_.outcome = rule == Rule::SignatureFits                        ? Outcome::Verified
                           : rule == Rule::HashOnly || rule == Rule::NoAnchor ? Outcome::KeyNotHere
                                                                              : Outcome::Refused;
        return std::nullopt;
    }

    std::optional<sast::CertificateView> decide_key() {
        verdict_.basis = !anchors_.installed.empty()      ? Basis::InstalledList
                         : !anchors_.certificates.empty() ? Basis::Certificate
                                                          : Basis::FileItself;
        // A file that contradicts itself about its signer is refused, whoever vouches for the signature.
        const Named named = find_signer(own_, file_, role_);
        own_signer_ = named.first;
        verdict_.record = named.first;
        if (named.conflict) return decide(Rule::SignersConflict);
        if (named.duplicate) warn(Caution::DuplicateSigner, named.duplicate);
        if (own_signer_ && own_[*own_signer_].certificate()) {
            own_certificate_ = certificate_of(own_[*own_signer_]);
            if (!own_certificate_) return std::nullopt;
        }

        for (std::size_t i = 0; i < anchors_.installed.size(); ++i) {
            const auto records = anchors_.installed[i].records();
            const Named trusted = find_signer(records, file_, role_);
            if (!trusted.first) continue;
            verdict_.list = i;
            verdict_.record = trusted.first;
            if (trusted.conflict) return decide(Rule::SignersConflict);
            return key_of(records[*trusted.first]);
        }
        if (!anchors_.certificates.empty()) return given_certificate();
        if (!anchors_.installed.empty()) return decide(Rule::SignerUnknown);
        if (role_ == Role::Tftp) return decide(Rule::NoAnchor);
        if (!own_signer_) return decide(Rule::SignerUnknown);
        return own_certificate_ ? own_certificate_ : key_of(own_[*own_signer_]);
    }

    // The certificate of a record that holds one.
    std::optional<sast::CertificateView> certificate_of(const Record& record) {
        auto certificate = read_certificate(*record.certificate());
        if (!certificate) return decide(Rule::CertificateUnreadable);
        if (const auto problem = compare(record, *certificate)) return decide(*problem);
        return certificate;
    }

    std::optional<sast::CertificateView> key_of(const Record& record) {
        if (record.certificate()) return certificate_of(record);
        if (!record.certificate_hash()) return decide(Rule::NoCertificate);
        for (std::size_t i = 0; i < anchors_.certificates.size(); ++i) {
            if (has_hash_of(record, anchors_.certificates[i].der())) return given(i);
        }
        return decide(Rule::HashOnly);
    }

    std::optional<sast::CertificateView> given(std::size_t index) {
        verdict_.certificate = index;
        verdict_.basis = Basis::Certificate;
        return anchors_.certificates[index];
    }

    // A certificate given belongs to the signer when the header names its holder, or when the file's own
    // record of the signer holds it or its hash.
    std::optional<sast::CertificateView> given_certificate() {
        const Record* own = own_signer_ ? &own_[*own_signer_] : nullptr;
        for (std::size_t i = 0; i < anchors_.certificates.size(); ++i) {
            const sast::Certificate& certificate = anchors_.certificates[i];
            const bool held =
                own != nullptr && own->certificate() && equal(*own->certificate(), certificate.der());
            if (held || (own != nullptr && has_hash_of(*own, certificate.der())) ||
                names_holder(file_, certificate)) {
                return given(i);
            }
        }
        const bool hash_only = own != nullptr && !own->certificate() && own->certificate_hash();
        return decide(hash_only ? Rule::HashOnly : Rule::SignerUnknown);
    }

    bool key_fits(const sast::CertificateView& certificate) {
        if (certificate.key_kind() != sast::KeyKind::Rsa) {
            decide(Rule::KeyUnsupported);
            return false;
        }
        if (certificate.key_bits() != file_.key_bits()) {
            decide(Rule::KeySizeDiffers);
            return false;
        }
        return true;
    }

    void check_signature(const sast::CertificateView& certificate) {
        if (certificate.key_bits() < kModestKeyBits) warn(Caution::KeyBelow2048, {}, certificate.key_bits());
        if (certificate.not_after() < now_) warn(Caution::SignerExpired, {}, certificate.not_after());
        if (file_.signature().empty()) {
            decide(Rule::NotSigned);
            return;
        }
        bool fits = false;
        try {
            sast::PublicKey& key = verifier_.key(certificate.public_key());
            fits = key.verify(file_.digest(), file_.signed_parts(), file_.signature());
        } catch (const Error&) {
            decide(Rule::CertificateUnreadable);
            return;
        }
        decide(fits ? Rule::SignatureFits : Rule::SignatureWrong);
    }

    void warn(Caution caution, std::optional<std::size_t> record = {}, std::int64_t value = 0) {
        verdict_.warnings.push_back({caution, record, value});
    }

    void warn_about_file(Version newest) {
        if (file_.digest() == Digest::Sha1) warn(Caution::Sha1);
        if (file_.version() > newest) warn(Caution::NewerVersion);
        if (role_ == Role::Sast && file_.octets().size() > kPhoneFileLimit) {
            warn(Caution::OverPhoneLimit, {}, static_cast<std::int64_t>(file_.octets().size()));
        }
    }

    // Records that do not decide: what a person should know of them.
    void warn_about_records() {
        for (std::size_t i = 0; i < own_.size(); ++i) {
            const auto der = own_[i].certificate();
            if (!der) continue;
            const bool signer = i == own_signer_;
            const auto certificate = signer ? own_certificate_ : read_certificate(*der);
            if (certificate && certificate->not_after() < now_) {
                warn(Caution::RecordExpired, i, certificate->not_after());
            }
            if (signer) continue;  // what is wrong with it has decided
            if (!certificate) warn(Caution::RecordUnreadable, i);
            if (certificate && compare(own_[i], *certificate)) warn(Caution::RecordInconsistent, i);
        }
    }

    Verifier& verifier_;
    const TrustAnchors& anchors_;
    const SignedFile& file_;
    std::span<const Record> own_;
    const Role role_;
    const std::int64_t now_;
    std::optional<std::size_t> own_signer_{};
    std::optional<sast::CertificateView> own_certificate_{};  // of that record, when it belongs to it
    Verdict verdict_{};
};

sast::PublicKey& Verifier::key(ByteView rsa_public_key) {
    const auto known =
        std::ranges::find_if(keys_, [&](const Known& one) { return equal(one.octets, rsa_public_key); });
    if (known != keys_.end()) return known->key;
    Known fresh{Bytes(rsa_public_key.begin(), rsa_public_key.end()),
                sast::PublicKey::from_rsa(rsa_public_key)};
    if (keys_.size() < kMostKeys) return keys_.emplace_back(std::move(fresh)).key;
    oldest_ = (oldest_ + 1) % kMostKeys;
    return (keys_[oldest_] = std::move(fresh)).key;
}

Verdict Verifier::verify(const TrustList& list, std::chrono::sys_seconds now) {
    return Judge(*this, list, list.records(), Role::Sast, now).judge(kNewestList);
}

Verdict Verifier::verify(const SgnFile& file, std::chrono::sys_seconds now) {
    return Judge(*this, file, {}, Role::Tftp, now).judge(kSgnVersion);
}

Verdict verify(const TrustList& list, const TrustAnchors& anchors, std::chrono::sys_seconds now) {
    return Verifier(anchors).verify(list, now);
}

Verdict verify(const SgnFile& file, const TrustAnchors& anchors, std::chrono::sys_seconds now) {
    return Verifier(anchors).verify(file, now);
}

}  // namespace ctlsign
