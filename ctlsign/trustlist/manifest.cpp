#include <arpa/inet.h>
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iterator>
#include <set>
#include <stdexcept>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/manifest.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign {

namespace {

// One table of a manifest: every key is asked for by name, and what nobody asked for is refused.
class ManifestTable {
  public:
    ManifestTable(const toml::table& table, std::string_view name) : table_(table), name_(name) {}

    [[noreturn]] void fail(const toml::source_region& where, std::string_view problem) const {
        throw Error(Errc::Malformed, "reading the manifest", fmt::format("{}:{}", name_, where.begin.line),
                    problem);
    }
    [[noreturn]] void fail(std::string_view problem) const { fail(table_.source(), problem); }

    const toml::node* find(std::string_view key) {
        asked_.insert(std::string(key));
        return table_.get(key);
    }

    std::optional<std::string> text(std::string_view key) {
        const toml::node* node = find(key);
        if (node == nullptr) return std::nullopt;
        if (!node->is_string()) fail(node->source(), fmt::format("{} must be a text in quotes", key));
        return node->as_string()->get();
    }

    std::optional<Bytes> octets(std::string_view key) {
        const auto written = text(key);
        if (!written) return std::nullopt;
        try {
            return from_hex(*written);
        } catch (const std::invalid_argument&) {
            fail(table_.get(key)->source(), fmt::format("{} must be hexadecimal octets", key));
        }
    }

    /// A text that READ understands; CHOICES says what it could be.
    template <typename Read>
    auto choice(std::string_view key, Read read, std::string_view choices) -> decltype(read("")) {
        const auto written = text(key);
        if (!written) return std::nullopt;
        auto value = read(*written);
        if (!value) fail(table_.get(key)->source(), fmt::format("{} is one of {}", key, choices));
        return value;
    }

    void refuse_the_rest() const {
        for (const auto& [key, node] : table_) {
            if (!asked_.contains(key.str()))
                fail(key.source(), fmt::format("'{}' is no key of a manifest here", key.str()));
        }
    }

  private:
    const toml::table& table_;
    std::string_view name_;
    std::set<std::string, std::less<>> asked_;
};

constexpr std::string_view kDigestNames = "sha1, sha256, sha512";
constexpr std::string_view kStyleNames = "callmanager, ctl-client, rfc4514";

std::optional<Version> find_version(std::string_view text) {
    Version version;
    const char* const end = text.data() + text.size();
    const auto [dot, error] = std::from_chars(text.data(), end, version.major);
    if (error != std::errc{} || dot == end || *dot != '.') return std::nullopt;
    const auto [rest, minor_error] = std::from_chars(dot + 1, end, version.minor);
    if (minor_error != std::errc{} || rest != end) return std::nullopt;
    return version;
}

std::optional<Role> read_role(ManifestTable& table) {
    const toml::node* node = table.find("role");
    if (node == nullptr) return std::nullopt;
    const auto role = node->is_integer()  ? find_role(std::to_string(node->as_integer()->get()))
                      : node->is_string() ? find_role(node->as_string()->get())
                                          : std::nullopt;
    if (!role) {
        table.fail(node->source(),
                   "role is SAST, CCM, CCM+TFTP, TFTP, CAPF, APP-SERVER, TVS or a number below 65536");
    }
    return role;
}

std::optional<std::uint32_t> read_timestamp(ManifestTable& table) {
    const toml::node* node = table.find("timestamp");
    if (node == nullptr) return std::nullopt;
    if (!node->is_date_time() || !node->as_date_time()->get().offset)
        table.fail(node->source(), "timestamp is a time with its offset, such as 2015-03-06T18:45:13Z");
    const toml::date_time& time = node->as_date_time()->get();
    namespace chr = std::chrono;
    const chr::sys_days day = chr::year(time.date.year) / time.date.month / time.date.day;
    const chr::sys_seconds moment = day + chr::hours(time.time.hour) + chr::minutes(time.time.minute) +
                                    chr::seconds(time.time.second) - chr::minutes(time.offset->minutes);
    const auto timestamp = find_timestamp(moment);
    if (time.time.nanosecond != 0 || !timestamp)
        table.fail(node->source(), "timestamp is a whole second of the years 1970 to 2106");
    return timestamp;
}

CertificateSignature read_certificate_signature(ManifestTable& table) {
    const toml::node* node = table.find("certificate-signature");
    if (node == nullptr) return CertificateSignature::Write;
    if (!node->is_boolean()) table.fail(node->source(), "certificate-signature is true or false");
    return node->as_boolean()->get() ? CertificateSignature::Write : CertificateSignature::Omit;
}

ManifestRecord read_record(const toml::table& toml, std::string_view name) {
    ManifestTable table(toml, name);
    ManifestRecord record;
    record.raw = table.octets("raw");
    if (record.raw) {
        if (toml.size() > 1) table.fail("raw is the whole record: no other key may stand beside it");
        return record;
    }
    record.role = read_role(table);
    record.certificate = table.text("certificate").value_or("");
    record.name_style =
        table.choice("name-style", find_name_style, kStyleNames).value_or(NameStyle::CallManager);
    record.certificate_signature = read_certificate_signature(table);
    record.dns_name = table.text("dns-name");
    record.ip_address = table.choice("ip-address", find_address, "the IPv4 and IPv6 addresses");
    record.subject = table.text("subject");
    record.issuer = table.text("issuer");
    record.serial = table.octets("serial");
    record.public_key = table.octets("public-key");
    record.certificate_hash = table.octets("certificate-hash");
    record.hash_algorithm = table.choice("hash-algorithm", find_digest, kDigestNames);
    table.refuse_the_rest();
    if (record.certificate_hash.has_value() != record.hash_algorithm.has_value())
        table.fail("certificate-hash and hash-algorithm belong together");
    return record;
}

std::string toml_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (octet < 0x20 || octet == 0x7F) {
            fmt::format_to(std::back_inserter(out), "\\u{:04X}", octet);
        } else {
            out += c;
        }
    }
    return out + '"';
}

class ManifestWriter {
  public:
    void line(std::string_view text) { fmt::format_to(std::back_inserter(text_), "{}\n", text); }
    void text(std::string_view key, std::optional<std::string_view> value) {
        if (value) pair(key, toml_text(*value));
    }
    void octets(std::string_view key, const std::optional<Bytes>& value) {
        if (value) pair(key, toml_text(to_hex(*value)));
    }
    void pair(std::string_view key, std::string_view value) {
        fmt::format_to(std::back_inserter(text_), "{} = {}\n", key, value);
    }
    std::string take() { return std::move(text_); }

  private:
    std::string text_;
};

std::string_view manifest_name(Digest digest) {
    switch (digest) {
        case Digest::Sha1:
            return "sha1";
        case Digest::Sha256:
            return "sha256";
        case Digest::Sha512:
            return "sha512";
    }
    return "";
}

void write_record(ManifestWriter& out, const ManifestRecord& record) {
    out.line("\n[[record]]");
    if (record.raw) return out.octets("raw", record.raw);
    if (record.role) out.text("role", role_name(*record.role));
    if (!record.certificate.empty()) {
        out.text("certificate", record.certificate);
        out.text("name-style", to_text(record.name_style));
        if (record.certificate_signature == CertificateSignature::Omit)
            out.pair("certificate-signature", "false");
    }
    out.text("dns-name", record.dns_name);
    if (record.ip_address) out.text("ip-address", address_text(*record.ip_address).value_or(""));
    out.text("subject", record.subject);
    out.text("issuer", record.issuer);
    out.octets("serial", record.serial);
    out.octets("public-key", record.public_key);
    out.octets("certificate-hash", record.certificate_hash);
    if (record.hash_algorithm) out.text("hash-algorithm", manifest_name(*record.hash_algorithm));
}

template <typename T>
void override_with(std::optional<T>& field, const std::optional<T>& value) {
    if (value) field = value;
}

}  // namespace

Manifest decode_manifest(std::string_view toml, std::string_view name) {
    toml::table root;
    try {
        root = toml::parse(toml);
    } catch (const toml::parse_error& error) {
        throw Error(Errc::Malformed, "reading the manifest",
                    fmt::format("{}:{}", name, error.source().begin.line), error.description());
    }
    ManifestTable table(root, name);
    Manifest manifest;
    const auto filename = table.text("filename");
    if (!filename) table.fail("filename is missing, such as filename = \"CTLFile.tlv\"");
    manifest.filename = *filename;
    const auto digest = table.choice("digest", find_digest, kDigestNames);
    if (!digest) table.fail("digest is missing: sha1, sha256 or sha512");
    manifest.digest = *digest;
    manifest.name_style =
        table.choice("name-style", find_name_style, kStyleNames).value_or(NameStyle::CallManager);
    manifest.timestamp = read_timestamp(table);
    manifest.layout = table.choice("layout", find_layout, "cucm, open-tools").value_or(Layout::Cucm);
    manifest.version = table.choice("version", find_version, "texts like \"1.2\"").value_or(Version{1, 2});
    manifest.signer_version = table.choice("signer-version", find_version, "texts like \"1.0\"");
    manifest.signer_name = table.text("signer-name");
    manifest.signer_issuer = table.text("signer-issuer");
    manifest.signer_serial = table.octets("signer-serial");
    if (const toml::node* records = table.find("record")) {
        if (!records->is_array_of_tables()) table.fail(records->source(), "records are written [[record]]");
        for (const toml::node& record : *records->as_array())
            manifest.records.push_back(read_record(*record.as_table(), name));
    }
    table.refuse_the_rest();
    return manifest;
}

std::string encode_manifest(const Manifest& manifest) {
    ManifestWriter out;
    out.text("filename", manifest.filename);
    out.text("digest", manifest_name(manifest.digest));
    out.text("name-style", to_text(manifest.name_style));
    if (manifest.timestamp) out.pair("timestamp", format_utc(*manifest.timestamp));
    if (manifest.layout != Layout::Cucm) out.text("layout", to_text(manifest.layout));
    if (manifest.version != Version{1, 2}) out.text("version", to_text(manifest.version));
    if (manifest.signer_version) out.text("signer-version", to_text(*manifest.signer_version));
    out.text("signer-name", manifest.signer_name);
    out.text("signer-issuer", manifest.signer_issuer);
    out.octets("signer-serial", manifest.signer_serial);
    for (const ManifestRecord& record : manifest.records) write_record(out, record);
    return out.take();
}

RecordDraft make_draft(const ManifestRecord& record, const CertificateLoader& load) {
    RecordDraft draft;
    if (record.raw) {
        draft.raw = record.raw;
        return draft;
    }
    if (!record.certificate.empty()) {
        draft = make_record(load(record.certificate), record.name_style, record.role.value_or(Role::Sast),
                            record.certificate_signature);
    }
    draft.role = record.role;
    draft.dns_name = record.dns_name;
    draft.ip_address = record.ip_address;
    draft.certificate_hash = record.certificate_hash;
    draft.hash_algorithm = record.hash_algorithm;
    override_with(draft.subject, record.subject);
    override_with(draft.issuer, record.issuer);
    override_with(draft.serial, record.serial);
    override_with(draft.public_key, record.public_key);
    return draft;
}

ListDraft make_draft(const Manifest& manifest, const CertificateLoader& load, const sast::Certificate& signer,
                     std::uint32_t timestamp) {
    ListDraft draft;
    HeaderDraft& header = draft.header;
    header.version = manifest.version;
    header.signer_version = manifest.signer_version;
    // A certificate whose names cannot be written still signs where none of them is asked for.
    if (!manifest.signer_name || !manifest.signer_issuer || !manifest.signer_serial)
        header.signer = make_signer_id(signer, manifest.name_style);
    if (manifest.signer_name) header.signer.name = *manifest.signer_name;
    if (manifest.signer_issuer) header.signer.issuer = *manifest.signer_issuer;
    if (manifest.signer_serial) header.signer.serial = *manifest.signer_serial;
    header.digest = manifest.digest;
    header.key_bits = signer.key_bits();
    header.filename = manifest.filename;
    header.timestamp = timestamp;
    header.layout = manifest.layout;
    for (const ManifestRecord& record : manifest.records) draft.records.push_back(make_draft(record, load));
    return draft;
}

}  // namespace ctlsign
