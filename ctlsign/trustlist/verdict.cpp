#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctlsign/trustlist/verify.hpp>

namespace ctlsign {

namespace {

std::string_view reason(Rule rule) noexcept {
    switch (rule) {
        case Rule::SignatureFits:
            return "the signature fits the signer's key";
        case Rule::SignatureWrong:
            return "the signature does not fit the signer's key";
        case Rule::NotSigned:
            return "the file waits for its signature, nothing else is wrong";
        case Rule::SignerUnknown:
            return "the signer is not known: nothing has the header's issuer and serial number";
        case Rule::SignersConflict:
            return "several records have the signer's issuer and serial number, with different keys";
        case Rule::RecordKeyDiffers:
            return "PUBLICKEY of the signer's record is not the key of its certificate";
        case Rule::RecordSerialDiffers:
            return "SERIALNUMBER of the signer's record is not that of its certificate";
        case Rule::NoCertificate:
            return "the signer's record holds no certificate";
        case Rule::HashOnly:
            return "signer named, key not here: its record holds a hash only, give the certificate with that "
                   "hash";
        case Rule::NoAnchor:
            return "signer named, key not here: give an installed trust list or the signer's certificate";
        case Rule::CertificateUnreadable:
            return "the signer's certificate cannot be read";
        case Rule::KeyUnsupported:
            return "the signer's key is not RSA";
        case Rule::KeySizeDiffers:
            return "the signer's key has not the size that SIGNATUREMODULUS says";
    }
    return "unknown";
}

std::string basis_text(const Verdict& verdict) {
    switch (verdict.basis) {
        case Basis::FileItself:
            return verdict.record
                       ? fmt::format("record {} of the file itself, which proves nothing about trust",
                                     *verdict.record + 1)
                       : "the file itself";
        case Basis::Certificate:
            return verdict.certificate
                       ? fmt::format("certificate {} of those given", *verdict.certificate + 1)
                       : "the certificates given";
        case Basis::InstalledList:
            return verdict.list && verdict.record
                       ? fmt::format("record {} of installed list {}", *verdict.record + 1, *verdict.list + 1)
                       : "the installed lists";
    }
    return "unknown";
}

std::string day(std::int64_t time) {
    return fmt::format("{:%Y-%m-%d}", std::chrono::sys_seconds(std::chrono::seconds(time)));
}

std::string warning_text(const Warning& warning) {
    switch (warning.caution) {
        case Caution::Sha1:
            return "the digest is SHA-1";
        case Caution::KeyBelow2048:
            return fmt::format("the signer's key has {} bits only", warning.value);
        case Caution::SignerExpired:
            return "the signer's certificate expired on " + day(warning.value);
        case Caution::RecordExpired:
            return "its certificate expired on " + day(warning.value);
        case Caution::RecordUnreadable:
            return "its certificate cannot be read";
        case Caution::RecordInconsistent:
            return "its PUBLICKEY or SERIALNUMBER is not that of its certificate";
        case Caution::OverPhoneLimit:
            return fmt::format("the file has {} octets: phones are known to fail above {}", warning.value,
                               kPhoneFileLimit);
        case Caution::DuplicateSigner:
            return "it names the signer once more";
        case Caution::NewerVersion:
            return "the header has a newer version than is known";
    }
    return "unknown";
}

}  // namespace

std::string to_text(const Warning& warning) {
    const std::string text = warning_text(warning);
    return warning.record ? fmt::format("record {}: {}", *warning.record + 1, text) : text;
}

std::string to_text(const Verdict& verdict) {
    return fmt::format("{}: {} (basis: {})", to_text(verdict.outcome), reason(verdict.rule),
                       basis_text(verdict));
}

std::string_view to_text(Rule rule) noexcept {
    switch (rule) {
        case Rule::SignatureFits:
            return "signature-fits";
        case Rule::SignatureWrong:
            return "signature-wrong";
        case Rule::NotSigned:
            return "not-signed";
        case Rule::SignerUnknown:
            return "signer-unknown";
        case Rule::SignersConflict:
            return "signers-conflict";
        case Rule::RecordKeyDiffers:
            return "record-key-differs";
        case Rule::RecordSerialDiffers:
            return "record-serial-differs";
        case Rule::NoCertificate:
            return "no-certificate";
        case Rule::HashOnly:
            return "hash-only";
        case Rule::NoAnchor:
            return "no-anchor";
        case Rule::CertificateUnreadable:
            return "certificate-unreadable";
        case Rule::KeyUnsupported:
            return "key-unsupported";
        case Rule::KeySizeDiffers:
            return "key-size-differs";
    }
    return "unknown";
}

std::string_view to_text(Basis basis) noexcept {
    switch (basis) {
        case Basis::FileItself:
            return "file-itself";
        case Basis::Certificate:
            return "certificate";
        case Basis::InstalledList:
            return "installed-list";
    }
    return "unknown";
}

std::string_view to_text(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::Verified:
            return "verified";
        case Outcome::Refused:
            return "refused";
        case Outcome::KeyNotHere:
            return "key-not-here";
    }
    return "unknown";
}

std::string_view to_text(Caution caution) noexcept {
    switch (caution) {
        case Caution::Sha1:
            return "sha1";
        case Caution::KeyBelow2048:
            return "key-below-2048";
        case Caution::SignerExpired:
            return "signer-expired";
        case Caution::RecordExpired:
            return "record-expired";
        case Caution::RecordUnreadable:
            return "record-unreadable";
        case Caution::RecordInconsistent:
            return "record-inconsistent";
        case Caution::OverPhoneLimit:
            return "over-phone-limit";
        case Caution::DuplicateSigner:
            return "duplicate-signer";
        case Caution::NewerVersion:
            return "newer-version";
    }
    return "unknown";
}

}  // namespace ctlsign
