#include <algorithm>
#include <charconv>

#include <ctlsign/trustlist/model.hpp>

namespace ctlsign {

namespace {

struct RoleName {
    Role role;
    std::string_view shown;
    std::string_view name;
};

constexpr RoleName kRoles[] = {
    {Role::Sast, "System Administrator Security Token", "SAST"},
    {Role::Ccm, "CCM", "CCM"},
    {Role::CcmTftp, "CCM+TFTP", "CCM+TFTP"},
    {Role::Tftp, "TFTP", "TFTP"},
    {Role::Capf, "CAPF", "CAPF"},
    {Role::AppServer, "APP-SERVER", "APP-SERVER"},
    {Role::Tvs, "TVS", "TVS"},
};

// The text without the NUL that ends it.
std::string_view text_of(ByteView value) noexcept {
    return as_text(value.first(value.size() - 1));
}

std::optional<std::string_view> text_of(const std::optional<ByteView>& value) noexcept {
    if (!value) return std::nullopt;
    return text_of(*value);
}

Version version_of(ByteView value) noexcept {
    return {value[0], value[1]};
}

}  // namespace

std::string to_text(Role role) {
    const auto* row = std::ranges::find(kRoles, role, &RoleName::role);
    return row == std::ranges::end(kRoles) ? std::to_string(static_cast<unsigned>(role))
                                           : std::string(row->shown);
}

std::string role_name(Role role) {
    const auto* row = std::ranges::find(kRoles, role, &RoleName::role);
    return row == std::ranges::end(kRoles) ? std::to_string(static_cast<unsigned>(role))
                                           : std::string(row->name);
}

std::optional<Role> find_role(std::string_view name) noexcept {
    const auto* row = std::ranges::find(kRoles, name, &RoleName::name);
    if (row != std::ranges::end(kRoles)) return row->role;
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    return static_cast<Role>(number);
}

std::string_view to_text(HeaderTag tag) noexcept {
    switch (tag) {
        case HeaderTag::Version:
            return "VERSION";
        case HeaderTag::HeaderLength:
            return "HEADERLENGTH";
        case HeaderTag::SignerId:
            return "SIGNERID";
        case HeaderTag::SignerName:
            return "SIGNERNAME";
        case HeaderTag::SerialNumber:
            return "SERIALNUMBER";
        case HeaderTag::CaName:
            return "CANAME";
        case HeaderTag::SignatureInfo:
            return "SIGNATUREINFO";
        case HeaderTag::DigestAlgorithm:
            return "DIGESTALGORTITHM";
        case HeaderTag::SignatureAlgorithmInfo:
            return "SIGNATUREALGOINFO";
        case HeaderTag::SignatureAlgorithm:
            return "SIGNATUREALGORTITHM";
        case HeaderTag::SignatureModulus:
            return "SIGNATUREMODULUS";
        case HeaderTag::Signature:
            return "SIGNATURE";
        case HeaderTag::Pad:
            return "PAD";
        case HeaderTag::Filename:
            return "FILENAME";
        case HeaderTag::Timestamp:
            return "TIMESTAMP";
        case HeaderTag::SignerVersion:
            return "SIGNERVERSION";
    }
    return "UNKNOWN";
}

std::string_view to_text(RecordTag tag) noexcept {
    switch (tag) {
        case RecordTag::RecordLength:
            return "RECORDLENGTH";
        case RecordTag::DnsName:
            return "DNSNAME";
        case RecordTag::SubjectName:
            return "SUBJECTNAME";
        case RecordTag::Function:
            return "FUNCTION";
        case RecordTag::IssuerName:
            return "ISSUERNAME";
        case RecordTag::SerialNumber:
            return "SERIALNUMBER";
        case RecordTag::PublicKey:
            return "PUBLICKEY";
        case RecordTag::Signature:
            return "SIGNATURE";
        case RecordTag::Certificate:
            return "CERTIFICATE";
        case RecordTag::IpAddress:
            return "IPADDRESS";
        case RecordTag::CertificateHash:
            return "CERTIFICATEHASH";
        case RecordTag::HashAlgorithm:
            return "HASHALGORITHM";
    }
    return "UNKNOWN";
}

std::string to_text(Version version) {
    return std::to_string(version.major) + "." + std::to_string(version.minor);
}

ByteView SignedFile::find(HeaderTag tag) const noexcept {
    for (const Element& element : header()) {
        if (element.tag == static_cast<std::uint8_t>(tag)) return element.value;
    }
    return {};
}

Version SignedFile::version() const noexcept {
    return version_of(find(HeaderTag::Version));
}

std::optional<Version> SignedFile::signer_version() const noexcept {
    const ByteView value = find(HeaderTag::SignerVersion);
    if (value.empty()) return std::nullopt;
    return version_of(value);
}

std::string_view SignedFile::signer_name() const noexcept {
    return text_of(find(HeaderTag::SignerName));
}

std::string_view SignedFile::signer_issuer() const noexcept {
    return text_of(find(HeaderTag::CaName));
}

ByteView SignedFile::signer_serial() const noexcept {
    return find(HeaderTag::SerialNumber);
}

Digest SignedFile::digest() const noexcept {
    return static_cast<Digest>(find(HeaderTag::DigestAlgorithm)[0]);
}

unsigned SignedFile::key_bits() const noexcept {
    return 512U << find(HeaderTag::SignatureModulus)[0];
}

std::string_view SignedFile::filename() const noexcept {
    return text_of(find(HeaderTag::Filename));
}

std::uint32_t SignedFile::timestamp() const noexcept {
    const ByteView value = find(HeaderTag::Timestamp);
    return std::uint32_t{value[0]} << 24U | std::uint32_t{value[1]} << 16U | std::uint32_t{value[2]} << 8U |
           std::uint32_t{value[3]};
}

std::array<ByteView, 2> SignedFile::signed_parts() const noexcept {
    return {octets().first(signature_element_), octets().subspan(signature_position_ + signature_size_)};
}

std::optional<ByteView> Record::find(RecordTag tag) const noexcept {
    for (const Element& element : elements_) {
        if (element.tag == static_cast<std::uint8_t>(tag)) return element.value;
    }
    return std::nullopt;
}

std::optional<std::string_view> Record::dns_name() const noexcept {
    return text_of(find(RecordTag::DnsName));
}

std::optional<std::string_view> Record::subject() const noexcept {
    return text_of(find(RecordTag::SubjectName));
}

std::optional<Role> Record::role() const noexcept {
    const auto value = find(RecordTag::Function);
    if (!value) return std::nullopt;
    return static_cast<Role>((*value)[0] << 8U | (*value)[1]);
}

std::optional<std::string_view> Record::issuer() const noexcept {
    return text_of(find(RecordTag::IssuerName));
}

std::optional<Digest> Record::hash_algorithm() const noexcept {
    const auto value = find(RecordTag::HashAlgorithm);
    if (!value) return std::nullopt;
    const auto digest = static_cast<Digest>((*value)[0]);
    if (digest != Digest::Sha1 && digest != Digest::Sha256 && digest != Digest::Sha512) return std::nullopt;
    return digest;
}

}  // namespace ctlsign
