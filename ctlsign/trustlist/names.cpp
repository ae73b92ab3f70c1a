#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <vector>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <pkcs11/free_with.hpp>
#include <sast/error.hpp>

namespace ctlsign {

namespace {

struct Attribute {
    std::string key;    // "CN"; a dotted number when it has no short name
    std::string value;  // UTF-8
    int rdn = 0;        // attributes of one RDN have the same
};

std::string key_of(const ASN1_OBJECT* object) {
    const int nid = OBJ_obj2nid(object);
    if (nid != NID_undef) return OBJ_nid2sn(nid);
    std::array<char, 128> text{};
    OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1);
    return text.data();
}

[[noreturn]] void malformed() {
    ERR_clear_error();
    throw Error(sast::Errc::MalformedCertificate, "reading", "a name", "the octets are no Name in DER");
}

std::vector<Attribute> attributes_of(ByteView der) {
    const unsigned char* at = der.data();
    const std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>> name(
        d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
    if (!name || at != der.data() + der.size()) malformed();
    std::vector<Attribute> attributes;
    for (int i = 0; i < X509_NAME_entry_count(name.get()); ++i) {
        const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name.get(), i);
        unsigned char* text = nullptr;
        const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
        if (size < 0) malformed();
        std::string value(as_text({text, static_cast<std::size_t>(size)}));
        OPENSSL_free(text);
        std::string key = key_of(X509_NAME_ENTRY_get_object(entry));
        if (value.find('\0') != value.npos) {
            throw Error(Errc::Unencodable, "writing a name", key, "its value holds a NUL, which ends a text");
        }
        attributes.push_back({std::move(key), std::move(value), X509_NAME_ENTRY_set(entry)});
    }
    return attributes;
}

// CN, OU, O, L, ST, C, then the rest; what is equal keeps the certificate's order.
void sort_like_callmanager(std::vector<Attribute>& attributes) {
    static constexpr std::array<std::string_view, 6> kOrder{"CN", "OU", "O", "L", "ST", "C"};
    const auto rank = [](const Attribute& attribute) {
        return std::ranges::find(kOrder, attribute.key) - kOrder.begin();
    };
    std::ranges::stable_sort(attributes, {}, rank);
}

std::string callmanager_text(std::vector<Attribute> attributes) {
    sort_like_callmanager(attributes);
    std::string text;
    for (const Attribute& attribute : attributes) {
        if (!text.empty()) text += ';';
        text += attribute.key + "=" + attribute.value;
    }
    return text;
}

// The CTL client quotes a value that needs it, then cuts the whole at commas: of a value with a comma only
// the beginning is left, with its opening quote.
std::string ctl_client_text(std::vector<Attribute> attributes) {
    sort_like_callmanager(attributes);
    std::string text;
    for (const Attribute& attribute : attributes) {
        if (!text.empty()) text += ';';
        for (const char c : attribute.key)
            text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        text += '=';
        const std::string& value = attribute.value;
        const std::size_t comma = value.find(',');
        const bool outer_space = value.starts_with(' ') || value.ends_with(' ');
        if (comma != value.npos) {
            text += '"' + value.substr(0, comma);
        } else if (outer_space) {
            text += '"' + value + '"';
        } else {
            text += value;
        }
    }
    return text;
}

std::string escaped(const std::string& value) {  // RFC 4514, 2.4
    std::string text;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        const bool first = i == 0, last = i + 1 == value.size();
        if (std::string_view("\"+,;<>\\").find(c) != std::string_view::npos ||
            (c == ' ' && (first || last)) || (c == '#' && first)) {
            text += '\\';
        }
        text += c;
    }
    return text;
}

std::string rfc4514_text(const std::vector<Attribute>& attributes) {
    std::string text;
    for (std::size_t i = 0; i < attributes.size(); ++i) {
        if (i != 0) text += attributes[i].rdn == attributes[i - 1].rdn ? '+' : ',';
        text += attributes[i].key + "=" + escaped(attributes[i].value);
    }
    return text;
}

ByteView without_zeros(ByteView number) noexcept {
    while (!number.empty() && number.front() == 0) number = number.subspan(1);
    return number;
}

}  // namespace

std::string_view to_text(NameStyle style) noexcept {
    switch (style) {
        case NameStyle::CallManager:
            return "callmanager";
        case NameStyle::CtlClient:
            return "ctl-client";
        case NameStyle::Rfc4514:
            return "rfc4514";
    }
    return "unknown";
}

std::optional<NameStyle> find_name_style(std::string_view text) noexcept {
    for (const NameStyle style : {NameStyle::CallManager, NameStyle::CtlClient, NameStyle::Rfc4514}) {
        if (text == to_text(style)) return style;
    }
    return std::nullopt;
}

std::string name_text(ByteView name_der, NameStyle style) {
    std::vector<Attribute> attributes = attributes_of(name_der);
    switch (style) {
        case NameStyle::CallManager:
            return callmanager_text(std::move(attributes));
        case NameStyle::CtlClient:
            return ctl_client_text(std::move(attributes));
        case NameStyle::Rfc4514:
            break;
    }
    return rfc4514_text(attributes);
}

Bytes serial_octets(ByteView serial, NameStyle style) {
    if (style == NameStyle::Rfc4514 && !without_zeros(serial).empty()) serial = without_zeros(serial);
    Bytes octets(serial.begin(), serial.end());
    if (style == NameStyle::CtlClient) std::ranges::reverse(octets);
    return octets;
}

bool same_serial(ByteView stored, ByteView of_certificate) noexcept {
    const ByteView expected = without_zeros(of_certificate);
    if (equal(without_zeros(stored), expected)) return true;
    while (!stored.empty() && stored.back() == 0) stored = stored.first(stored.size() - 1);
    return std::equal(stored.rbegin(), stored.rend(), expected.begin(), expected.end());
}

RecordDraft make_record(const sast::Certificate& certificate, NameStyle style, Role role,
                        CertificateSignature signature) {
    const auto copy = [](ByteView octets) { return Bytes(octets.begin(), octets.end()); };
    RecordDraft draft;
    draft.subject = name_text(certificate.subject_der(), style);
    draft.role = role;
    draft.issuer = name_text(certificate.issuer_der(), style);
    draft.serial = serial_octets(certificate.serial(), style);
    draft.public_key = copy(certificate.public_key());
    if (signature == CertificateSignature::Write) draft.signature = copy(certificate.signature());
    draft.certificate = copy(certificate.der());
    return draft;
}

SignerId make_signer_id(const sast::Certificate& certificate, NameStyle style) {
    return {name_text(certificate.subject_der(), style), name_text(certificate.issuer_der(), style),
            serial_octets(certificate.serial(), style)};
}

}  // namespace ctlsign
