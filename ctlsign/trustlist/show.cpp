#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <iterator>

#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign {

namespace {

using Out = std::back_insert_iterator<std::string>;

constexpr std::string_view kColumns =
    "BYTEPOS TAG             LENGTH  VALUE\n------- ---             ------  -----\n";

std::string hex_of_file(const EVP_MD* digest, ByteView octets) {
    std::array<std::uint8_t, EVP_MAX_MD_SIZE> value{};
    unsigned size = 0;
    if (EVP_Digest(octets.data(), octets.size(), value.data(), &size, digest, nullptr) != 1) return {};
    return to_lower_hex(ByteView(value).first(size));
}

// Columns start at 0, 8, 24 and 32; a name that reaches the next stop pushes the rest one stop on.
void row(std::string& text, unsigned tag, std::string_view name, std::size_t length, std::string_view value) {
    const std::size_t line = text.size();
    const auto next_stop = [&](std::size_t least) {
        const std::size_t column = text.size() - line;
        text.append(std::max(least, (column / 8 + 1) * 8) - column, ' ');
    };
    fmt::format_to(Out(text), "{}", tag);
    next_stop(8);
    text += name;
    next_stop(24);
    fmt::format_to(Out(text), "{}", length);
    if (!value.empty()) {
        next_stop(32);
        text += value;
    }
    text += '\n';
}

std::string_view without_nul(ByteView value) {
    const std::string_view text = as_text(value);
    return text.empty() || text.back() != '\0' ? text : text.substr(0, text.size() - 1);
}

// Rows of eight octets, hexadecimal without a leading zero, each in a column of four.
void signature_rows(std::string& text, ByteView value) {
    for (std::size_t i = 0; i < value.size(); ++i) {
        const bool last = i % 8 == 7 || i + 1 == value.size();
        fmt::format_to(Out(text), "{:<{}x}{}", value[i], last ? 0 : 4, last ? "\n" : "");
    }
}

void header_row(std::string& text, const Element& element) {
    const auto tag = HeaderTag{element.tag};
    const auto plain = [&](std::string_view value) {
        row(text, element.tag, to_text(tag), element.value.size(), value);
    };
    switch (tag) {
        case HeaderTag::Version:
        case HeaderTag::HeaderLength:
        case HeaderTag::SignerVersion:
        case HeaderTag::Pad:
            return;
        case HeaderTag::SignerId:
        case HeaderTag::SignatureInfo:
        case HeaderTag::SignatureAlgorithmInfo:
            // Of a container the original shows the size of the length itself, then the length.
            return row(text, element.tag, to_text(tag), 2, fmt::format("{}", element.value.size()));
        case HeaderTag::SignerName:
        case HeaderTag::CaName:
            return plain(printable(without_nul(element.value)));
        case HeaderTag::SerialNumber:
            return plain(to_hex(element.value, ":"));
        case HeaderTag::Signature:
            plain({});
            return signature_rows(text, element.value);
        default:
            return plain({});
    }
}

void record_row(std::string& text, const Record& record, const Element& element) {
    const auto tag = RecordTag{element.tag};
    const auto plain = [&](std::string_view value) {
        row(text, element.tag, to_text(tag), element.value.size(), value);
    };
    switch (tag) {
        case RecordTag::RecordLength:
            return plain(fmt::format("{}", record.octets().size()));
        case RecordTag::DnsName:
        case RecordTag::SubjectName:
        case RecordTag::IssuerName:
            return plain(printable(without_nul(element.value)));
        case RecordTag::Function:
            return plain(record.role() ? to_text(*record.role()) : std::string());
        case RecordTag::SerialNumber:
            return plain(to_hex(element.value, ":"));
        case RecordTag::Certificate: {
            const std::array<ByteView, 1> parts{element.value};
            return plain(to_hex(compute_digest(Digest::Sha1, parts), " ") + " (SHA1 Hash HEX)");
        }
        case RecordTag::CertificateHash:
            return plain(to_hex(element.value, " "));
        default:
            return plain({});
    }
}

std::string begin(const SignedFile& file, std::string_view kind, std::optional<std::string_view> modified) {
    std::string text;
    text.reserve(8192);
    const Out out(text);
    const Checksums sums = checksums(file.octets());
    fmt::format_to(out, "The checksum value of the {} file:\n{}(MD5)\n{}(SHA1)\n\n", kind, sums.md5,
                   sums.sha1);
    fmt::format_to(out, "Length of {} file: {}\n", kind, file.octets().size());
    if (modified) fmt::format_to(out, "The {} File was last modified on {}\n", kind, *modified);
    fmt::format_to(out, "\nParse {} File\n----------------\nVersion: {}\nHeaderLength: {} (BYTES)\n\n", kind,
                   to_text(file.version()), file.header_length());
    text += kColumns;
    for (const Element& element : file.header()) header_row(text, element);
    return text;
}

void end(std::string& text, std::string_view kind, const Verdict& verdict) {
    if (verdict.outcome == Outcome::Verified) {
        fmt::format_to(Out(text), "\nThe {} file was verified successfully.\n", kind);
    } else {
        fmt::format_to(Out(text), "\nThe {} file was not verified: {}\n", kind, to_text(verdict));
    }
}

}  // namespace

std::string show(const TrustList& list, const Verdict& verdict, std::optional<std::string_view> modified) {
    const std::string_view kind = list.filename().starts_with("ITL") ? "ITL" : "CTL";
    std::string text = begin(list, kind, modified);
    std::size_t number = 0;
    for (const Record& record : list.records()) {
        fmt::format_to(Out(text), "\n{} Record #:{}\n----\n", kind, ++number);
        text += kColumns;
        for (const Element& element : record.elements()) record_row(text, record, element);
        if (record.role() == Role::Sast) {
            fmt::format_to(Out(text), "This etoken was {}used to sign the {} file.\n",
                           is_signer(record, list) ? "" : "not ", kind);
        }
    }
    end(text, kind, verdict);
    return text;
}

std::string show(const SgnFile& file, const Verdict& verdict, std::optional<std::string_view> modified) {
    constexpr std::string_view kKind = "SGN";
    std::string text = begin(file, kKind, modified);
    fmt::format_to(Out(text), "\nPayload of {}: {} (BYTES)\n", printable(file.filename()),
                   file.payload().size());
    end(text, kKind, verdict);
    return text;
}

std::string_view show_absent() noexcept {
    return "Length of CTL file: 0\n"
           "CTL File not found. Please run CTLClient plugin or run the CLI - utils ctl.. to generate the CTL "
           "file.\n"
           "Error parsing the CTL File.\n";
}

Checksums checksums(ByteView octets) {
    return {hex_of_file(EVP_md5(), octets), hex_of_file(EVP_sha1(), octets)};
}

bool is_signer(const Record& record, const SignedFile& file) noexcept {
    return record.role() == Role::Sast && record.issuer() && *record.issuer() == file.signer_issuer() &&
           record.serial() && equal(*record.serial(), file.signer_serial());
}

}  // namespace ctlsign
