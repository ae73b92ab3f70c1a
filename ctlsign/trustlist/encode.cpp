#include <fmt/format.h>

#include <iterator>
#include <utility>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/sgn.hpp>

namespace ctlsign {

namespace {

constexpr std::size_t kMostInLength = 0xFFFF;
constexpr std::size_t kSignatureInfoSize = 15;
constexpr std::size_t kSignatureAlgorithmInfoSize = 8;
constexpr std::size_t kHeaderAlignment = 4;
constexpr std::uint8_t kRsaPkcs1v15 = 0;

[[noreturn]] void unencodable(std::string_view where, const std::string& why) {
    throw Error(Errc::Unencodable, "encoding", where, why);
}

// Appends elements. WHERE names the part for errors.
class Writer {
  public:
    explicit Writer(std::string where) : where_(std::move(where)) {}

    template <typename Tag>
    void head(Tag tag, std::size_t size) {
        if (size > kMostInLength) {
            unencodable(where_,
                        fmt::format("{} of {} octets, at most {} fit", to_text(tag), size, kMostInLength));
        }
        put(static_cast<std::uint8_t>(tag));
        put_number(size, 2);
    }
    template <typename Tag>
    void octets(Tag tag, ByteView value) {
        head(tag, value.size());
        append(value);
    }
    template <typename Tag>
    void text(Tag tag, std::string_view value) {
        if (value.find('\0') != value.npos) unencodable(where_, fmt::format("{} holds a NUL", to_text(tag)));
        head(tag, value.size() + 1);
        append(as_bytes(value));
        put(0);
    }
    template <typename Tag>
    void number(Tag tag, std::size_t value, std::size_t size) {
        head(tag, size);
        put_number(value, size);
    }
    void append(ByteView value) { out_.insert(out_.end(), value.begin(), value.end()); }
    void put(std::uint8_t octet) { out_.push_back(octet); }

    std::size_t size() const noexcept { return out_.size(); }
    Bytes take() noexcept { return std::move(out_); }
    const Bytes& bytes() const noexcept { return out_; }

  private:
    void put_number(std::size_t value, std::size_t size) {
        for (std::size_t i = size; i-- > 0;) put(static_cast<std::uint8_t>(value >> 8 * i));
    }

    std::string where_;
    Bytes out_;
};

std::uint8_t modulus_code(unsigned bits) {
    switch (bits) {
        case 512:
            return 0;
        case 1024:
            return 1;
        case 2048:
            return 2;
        case 4096:
            return 3;
        default:
            unencodable("the header",
                        fmt::format("a signer with a key of {} bits: trust lists have codes for RSA with "
                                    "512, 1024, 2048 and 4096 bits only",
                                    bits));
    }
}

std::size_t version_number(Version version) noexcept {
    return static_cast<std::size_t>(version.major) << 8U | version.minor;
}

Bytes encode_signer_id(const SignerId& signer, Layout layout) {
    if (signer.serial.empty()) unencodable("the header", "the signer has no serial number");
    Writer writer("the header");
    writer.text(HeaderTag::SignerName, signer.name);
    if (layout == Layout::OpenTools) writer.text(HeaderTag::CaName, signer.issuer);
    writer.octets(HeaderTag::SerialNumber, signer.serial);
    if (layout == Layout::Cucm) writer.text(HeaderTag::CaName, signer.issuer);
    return writer.take();
}

// The header without its SIGNATURE element; HEADERLENGTH counts that element.
ToSign encode_header(const HeaderDraft& draft) {
    const std::uint8_t modulus = modulus_code(draft.key_bits);
    const std::size_t signature_length = draft.key_bits / 8;
    const Bytes signer = encode_signer_id(draft.signer, draft.layout);

    Writer tail("the header");
    tail.text(HeaderTag::Filename, draft.filename);
    tail.number(HeaderTag::Timestamp, draft.timestamp, 4);

    const std::size_t fixed = 2 * (kElementHeadSize + 2) + (draft.signer_version ? kElementHeadSize + 2 : 0);
    const std::size_t used = fixed + kElementHeadSize + signer.size() + kElementHeadSize +
                             kSignatureInfoSize + kElementHeadSize + signature_length + tail.size();
    const std::size_t length = (used + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment;
    if (length > kMostInLength) {
        unencodable("the header", fmt::format("{} octets, at most {} fit", length, kMostInLength));
    }

    Writer writer("the header");
    writer.number(HeaderTag::Version, version_number(draft.version), 2);
    writer.number(HeaderTag::HeaderLength, length, 2);
    if (draft.signer_version)
        writer.number(HeaderTag::SignerVersion, version_number(*draft.signer_version), 2);
    writer.octets(HeaderTag::SignerId, signer);
    writer.head(HeaderTag::SignatureInfo, kSignatureInfoSize);
    writer.number(HeaderTag::DigestAlgorithm, static_cast<std::size_t>(draft.digest), 1);
    writer.head(HeaderTag::SignatureAlgorithmInfo, kSignatureAlgorithmInfoSize);
    writer.number(HeaderTag::SignatureAlgorithm, kRsaPkcs1v15, 1);
    writer.number(HeaderTag::SignatureModulus, modulus, 1);
    const std::size_t position = writer.size();
    writer.append(tail.bytes());
    for (std::size_t at = used; at < length; ++at) writer.put(static_cast<std::uint8_t>(HeaderTag::Pad));
    return {writer.take(), position, signature_length};
}

constexpr RecordTag kCucmOrder[] = {
    RecordTag::DnsName,      RecordTag::SubjectName,     RecordTag::Function,      RecordTag::IssuerName,
    RecordTag::SerialNumber, RecordTag::PublicKey,       RecordTag::Signature,     RecordTag::Certificate,
    RecordTag::IpAddress,    RecordTag::CertificateHash, RecordTag::HashAlgorithm,
};
constexpr RecordTag kOpenToolsOrder[] = {
    RecordTag::DnsName,   RecordTag::SubjectName,     RecordTag::IssuerName,    RecordTag::SerialNumber,
    RecordTag::Function,  RecordTag::PublicKey,       RecordTag::Signature,     RecordTag::Certificate,
    RecordTag::IpAddress, RecordTag::CertificateHash, RecordTag::HashAlgorithm,
};

void put_element(Writer& writer, RecordTag tag, const RecordDraft& draft) {
    const auto text = [&](const std::optional<std::string>& value) {
        if (value) writer.text(tag, *value);
    };
    const auto octets = [&](const std::optional<Bytes>& value) {
        if (value) writer.octets(tag, *value);
    };
    switch (tag) {
        case RecordTag::RecordLength:
            return;
        case RecordTag::DnsName:
            return text(draft.dns_name);
        case RecordTag::SubjectName:
            return text(draft.subject);
        case RecordTag::Function:
            if (draft.role) writer.number(tag, static_cast<std::size_t>(*draft.role), 2);
            return;
        case RecordTag::IssuerName:
            return text(draft.issuer);
        case RecordTag::SerialNumber:
            return octets(draft.serial);
        case RecordTag::PublicKey:
            return octets(draft.public_key);
        case RecordTag::Signature:
            return octets(draft.signature);
        case RecordTag::Certificate:
            return octets(draft.certificate);
        case RecordTag::IpAddress:
            return octets(draft.ip_address);
        case RecordTag::CertificateHash:
            return octets(draft.certificate_hash);
        case RecordTag::HashAlgorithm:
            if (draft.hash_algorithm) writer.number(tag, static_cast<std::size_t>(*draft.hash_algorithm), 1);
            return;
    }
}

// One whole record, no less and no more; what stands in it is checked with the whole list.
void check_raw(const Bytes& raw, const std::string& where) {
    const bool whole = raw.size() >= kElementHeadSize + 2 && raw.size() <= kMostInLength && raw[0] == 1 &&
                       raw[1] == 0 && raw[2] == 2 && (std::size_t{raw[3]} << 8U | raw[4]) == raw.size();
    if (!whole) unencodable(where, "raw octets that are not one record");
}

// NUMBER counts from 1 and serves errors.
void append_record(Bytes& out, const RecordDraft& draft, Layout layout, std::size_t number) {
    const std::string where = fmt::format("record {}", number);
    Writer body(where);
    for (const RecordTag tag : layout == Layout::Cucm ? kCucmOrder : kOpenToolsOrder)
        put_element(body, tag, draft);
    if (draft.raw) {
        if (body.size() != 0) unencodable(where, "raw octets and elements at once");
        check_raw(*draft.raw, where);
        out.insert(out.end(), draft.raw->begin(), draft.raw->end());
        return;
    }
    const std::size_t length = kElementHeadSize + 2 + body.size();
    if (length > kMostInLength)
        unencodable(where, fmt::format("{} octets, at most {} fit", length, kMostInLength));
    Writer head(where);
    head.number(RecordTag::RecordLength, length, 2);
    out.insert(out.end(), head.bytes().begin(), head.bytes().end());
    out.insert(out.end(), body.bytes().begin(), body.bytes().end());
}

void check_size(const ToSign& to_sign) {
    const std::size_t size = to_sign.octets.size() + kElementHeadSize + to_sign.signature_length;
    if (size > kMaxFileSize) {
        throw Error(Errc::Oversized, "encoding", {},
                    fmt::format("{} octets, at most {} are read", size, kMaxFileSize));
    }
}

void append_head(Bytes& out, const Element& element) {
    const std::size_t size = element.value.size();
    const std::uint8_t head[kElementHeadSize] = {element.tag, static_cast<std::uint8_t>(size >> 8U),
                                                 static_cast<std::uint8_t>(size)};
    out.insert(out.end(), std::begin(head), std::end(head));
}

void append_header(Bytes& out, std::span<const Element> header) {
    for (std::size_t i = 0; i < header.size(); ++i) {
        const Element& element = header[i];
        if (element.tag == static_cast<std::uint8_t>(HeaderTag::Pad)) {
            out.push_back(element.tag);
            continue;
        }
        append_head(out, element);
        // What a container holds comes with the elements inside it.
        const bool container = i + 1 < header.size() && header[i + 1].depth > element.depth;
        if (!container) out.insert(out.end(), element.value.begin(), element.value.end());
    }
}

}  // namespace

std::string_view to_text(Layout layout) noexcept {
    return layout == Layout::Cucm ? "cucm" : "open-tools";
}

std::optional<Layout> find_layout(std::string_view text) noexcept {
    if (text == "cucm") return Layout::Cucm;
    if (text == "open-tools") return Layout::OpenTools;
    return std::nullopt;
}

ToSign encode(const ListDraft& draft) {
    ToSign to_sign = encode_header(draft.header);
    for (std::size_t i = 0; i < draft.records.size(); ++i) {
        append_record(to_sign.octets, draft.records[i], draft.header.layout, i + 1);
    }
    check_size(to_sign);
    decode_unsigned_list(to_sign.octets);  // raw records are somebody else's octets
    return to_sign;
}

ToSign encode(const HeaderDraft& header, ByteView payload) {
    ToSign to_sign = encode_header(header);
    to_sign.octets.insert(to_sign.octets.end(), payload.begin(), payload.end());
    check_size(to_sign);
    return to_sign;
}

std::size_t signed_size(std::size_t unsigned_size, std::size_t signature_length) noexcept {
    return unsigned_size + kElementHeadSize + signature_length;
}

Bytes splice(const ToSign& to_sign, ByteView signature) {
    if (signature.size() != to_sign.signature_length) {
        throw Error(Errc::Malformed, "joining a signature", {},
                    fmt::format("it holds {} octets, the header says {}", signature.size(),
                                to_sign.signature_length));
    }
    const auto middle = to_sign.octets.begin() + static_cast<std::ptrdiff_t>(to_sign.signature_position);
    Writer writer("the header");
    writer.append({to_sign.octets.begin(), middle});
    writer.octets(HeaderTag::Signature, signature);
    writer.append({middle, to_sign.octets.end()});
    return writer.take();
}

Bytes encode(const TrustList& list) {
    Bytes out;
    out.reserve(list.octets().size());
    append_header(out, list.header());
    for (const Record& record : list.records()) {
        for (const Element& element : record.elements()) {
            append_head(out, element);
            out.insert(out.end(), element.value.begin(), element.value.end());
        }
    }
    return out;
}

Bytes encode(const SgnFile& file) {
    Bytes out;
    out.reserve(file.octets().size());
    append_header(out, file.header());
    out.insert(out.end(), file.payload().begin(), file.payload().end());
    return out;
}

}  // namespace ctlsign
