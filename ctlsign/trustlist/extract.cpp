#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/extract.hpp>
#include <ctlsign/trustlist/show.hpp>

namespace ctlsign {

namespace {

constexpr std::array kStyles{NameStyle::CallManager, NameStyle::CtlClient, NameStyle::Rfc4514};

// A name that is a file name everywhere.
std::string file_name(const std::string& common_name) {
    std::string name;
    for (const char c : common_name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '_' || (c == '.' && !name.empty());
        if (plain) {
            name += c;
        } else if (!name.empty() && name.back() != '_') {
            name += '_';
        }
        if (name.size() == 100) break;
    }
    while (!name.empty() && name.back() == '_') name.pop_back();
    return name.empty() ? "certificate" : name;
}

class Certificates {
  public:
    /// The path of the certificate in DER; nothing when it is not X.509.
    std::optional<std::string> add(ByteView der) {
        for (const auto& file : files_) {
            if (equal(file.certificate.der(), der)) return file.path;
        }
        try {
            sast::Certificate certificate = sast::Certificate::decode(der);
            const std::string name = file_name(certificate.common_name());
            std::string path = fmt::format("certificates/{}.pem", name);
            for (int number = 2; find(path) != nullptr; ++number)
                path = fmt::format("certificates/{}-{}.pem", name, number);
            files_.push_back({path, std::move(certificate)});
            return path;
        } catch (const Error&) {
            return std::nullopt;
        }
    }
    const sast::Certificate* find(const std::string& path) const {
        const auto found = std::ranges::find(files_, path, &Extracted::File::path);
        return found == files_.end() ? nullptr : &found->certificate;
    }
    std::vector<Extracted::File> take() { return std::move(files_); }

  private:
    std::vector<Extracted::File> files_;
};

template <typename T>
std::optional<std::string> owned(const std::optional<T>& view) {
    return view ? std::optional<std::string>(*view) : std::nullopt;
}

std::optional<Bytes> octets_of(const std::optional<ByteView>& view) {
    return view ? std::optional<Bytes>(std::in_place, view->begin(), view->end()) : std::nullopt;
}

// MANIFEST as it will be read again; nothing when TOML, or the keys of a manifest, cannot say it.
std::optional<Manifest> reread(const Manifest& manifest) {
    try {
        return decode_manifest(encode_manifest(manifest), "");
    } catch (const Error&) {
        return std::nullopt;
    }
}

// The octets that a draft of one record makes under HEADER.
std::optional<Bytes> record_octets(const HeaderDraft& header, const RecordDraft& record) {
    try {
        const std::size_t begin = encode(ListDraft{header, {}}).octets.size();
        const Bytes octets = encode(ListDraft{header, {record}}).octets;
        return Bytes(octets.begin() + static_cast<std::ptrdiff_t>(begin), octets.end());
    } catch (const Error&) {
        return std::nullopt;
    }
}

struct Candidate {
    ManifestRecord record;
    int overrides = 0;
};

template <typename T>
void override_where_different(std::optional<T>& slot, const std::optional<T>& drafted,
                              const std::optional<T>& stored, int& overrides) {
    if (!stored || drafted == stored) return;
    slot = stored;
    ++overrides;
}

class Extractor {
  public:
    explicit Extractor(const TrustList& list) : list_(list) {}

    Extracted run() {
        read_header();
        for (const Record& record : list_.records()) {
            extracted_.manifest.records.push_back(extract_record(record));
            if (is_signer(record, list_) && extracted_.signer.empty())
                extracted_.signer = certificates_.add(record.certificate().value_or(ByteView())).value_or("");
        }
        name_signer();
        check();
        extracted_.certificates = certificates_.take();
        return std::move(extracted_);
    }

  private:
    void read_header() {
        Manifest& manifest = extracted_.manifest;
        manifest.filename = std::string(list_.filename());
        manifest.digest = list_.digest();
        manifest.timestamp = list_.timestamp();
        manifest.version = list_.version();
        manifest.signer_version = list_.signer_version();
        manifest.layout = recognise_layout(list_);
        header_ = {list_.version(),  list_.signer_version(), stored_signer(),   list_.digest(),
                   list_.key_bits(), manifest.filename,      list_.timestamp(), manifest.layout};
    }

    SignerId stored_signer() const {
        const ByteView serial = list_.signer_serial();
        return {std::string(list_.signer_name()), std::string(list_.signer_issuer()),
                Bytes(serial.begin(), serial.end())};
    }

    // Nothing when the certificate's names cannot be written.
    std::optional<Candidate> candidate(const Record& stored, const std::optional<std::string>& path,
                                       NameStyle style) const try {
        Candidate result;
        ManifestRecord& record = result.record;
        record.role = stored.role();
        record.certificate = path.value_or("");
        record.name_style = style;
        record.certificate_signature =
            stored.signature() ? CertificateSignature::Write : CertificateSignature::Omit;
        record.dns_name = owned(stored.dns_name());
        record.ip_address = octets_of(stored.ip_address());
        record.certificate_hash = octets_of(stored.certificate_hash());
        record.hash_algorithm = stored.hash_algorithm();
        const RecordDraft draft = make_draft(record, loader());
        int& overrides = result.overrides;
        override_where_different(record.subject, draft.subject, owned(stored.subject()), overrides);
        override_where_different(record.issuer, draft.issuer, owned(stored.issuer()), overrides);
        override_where_different(record.serial, draft.serial, octets_of(stored.serial()), overrides);
        override_where_different(record.public_key, draft.public_key, octets_of(stored.public_key()),
                                 overrides);
        return result;
    } catch (const Error&) {
        return std::nullopt;
    }

    bool rebuilds(const ManifestRecord& record, const Record& stored) const {
        Manifest alone;
        alone.records = {record};
        const auto written = reread(alone);
        if (!written) return false;
        const auto octets = record_octets(header_, make_draft(written->records.at(0), loader()));
        return octets && equal(*octets, stored.octets());
    }

    CertificateLoader loader() const {
        return [this](const std::string& path) { return *certificates_.find(path); };
    }

    ManifestRecord extract_record(const Record& stored) {
        std::optional<std::string> path;
        if (stored.certificate()) path = certificates_.add(*stored.certificate());
        if (path || !stored.certificate()) {
            std::optional<Candidate> best;
            for (const NameStyle style : kStyles) {
                auto other = candidate(stored, path, style);
                if (other && (!best || other->overrides < best->overrides)) best = std::move(other);
            }
            if (best && rebuilds(best->record, stored)) return best->record;
        }
        ManifestRecord raw;
        raw.raw = Bytes(stored.octets().begin(), stored.octets().end());
        return raw;
    }

    static SignerId signer_id(const sast::Certificate* signer, NameStyle style) try {
        return signer != nullptr ? make_signer_id(*signer, style) : SignerId();
    } catch (const Error&) {
        return {};
    }

    // The style that says most of the header's signer, and what it does not say.
    void name_signer() {
        Manifest& manifest = extracted_.manifest;
        const SignerId& stored = header_.signer;
        const sast::Certificate* signer = certificates_.find(extracted_.signer);
        int fewest = 4;
        for (const NameStyle style : kStyles) {
            const SignerId said = signer_id(signer, style);
            const bool name = said.name != stored.name;
            const bool issuer = said.issuer != stored.issuer;
            const bool serial = said.serial != stored.serial;
            const int overrides = int{name} + int{issuer} + int{serial};
            if (overrides >= fewest) continue;
            fewest = overrides;
            manifest.name_style = style;
            manifest.signer_name = name ? std::optional(stored.name) : std::nullopt;
            manifest.signer_issuer = issuer ? std::optional(stored.issuer) : std::nullopt;
            manifest.signer_serial = serial ? std::optional(stored.serial) : std::nullopt;
        }
    }

    // Nothing is handed out that would not build the same octets.
    void check() const {
        const auto written = reread(extracted_.manifest);
        if (written && builds_the_list(*written)) return;
        throw Error(Errc::Unencodable, "extracting", "the header",
                    "it holds what a manifest cannot say, such as elements in another order or unknown ones");
    }

    bool builds_the_list(const Manifest& manifest) const {
        ListDraft draft{header_, {}};
        for (const ManifestRecord& record : manifest.records)
            draft.records.push_back(make_draft(record, loader()));
        Bytes wanted;
        for (const ByteView part : list_.signed_parts())
            wanted.insert(wanted.end(), part.begin(), part.end());
        return encode(draft).octets == wanted;
    }

    const TrustList& list_;
    HeaderDraft header_{};
    Certificates certificates_;
    Extracted extracted_;
};

}  // namespace

Extracted extract(const TrustList& list) {
    return Extractor(list).run();
}

Layout recognise_layout(const TrustList& list) noexcept {
    // The open tools write the signer's elements 4, 6, 5.
    for (const Element& element : list.header()) {
        if (HeaderTag{element.tag} == HeaderTag::SerialNumber) return Layout::Cucm;
        if (HeaderTag{element.tag} == HeaderTag::CaName) return Layout::OpenTools;
    }
    return Layout::Cucm;
}

}  // namespace ctlsign
