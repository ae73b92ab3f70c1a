#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <sast/certificate.hpp>

namespace ctlsign {

/// A record as a manifest describes it: a certificate, and what that would not give or would give otherwise.
struct ManifestRecord {
    std::optional<Role> role{};
    std::string certificate{};  ///< path as written, empty for none
    NameStyle name_style = NameStyle::CallManager;
    CertificateSignature certificate_signature = CertificateSignature::Write;
    std::optional<std::string> dns_name{}, subject{}, issuer{};
    std::optional<Bytes> ip_address{}, serial{}, public_key{}, certificate_hash{};
    std::optional<Digest> hash_algorithm{};
    std::optional<Bytes> raw{};  ///< the whole record: nothing else is set
};

/// The recipe of a trust list, but for its signer. docs/reference/files.md.
struct Manifest {
    std::string filename{};
    Digest digest = Digest::Sha1;
    NameStyle name_style = NameStyle::CallManager;  ///< of the signer
    std::optional<std::uint32_t> timestamp{};       ///< Unix seconds
    Layout layout = Layout::Cucm;
    Version version{1, 2};
    std::optional<Version> signer_version{};
    /// What the signer's certificate would not give: signer-name, signer-issuer, signer-serial.
    std::optional<std::string> signer_name{}, signer_issuer{};
    std::optional<Bytes> signer_serial{};
    std::vector<ManifestRecord> records{};
};

/// Reads TOML. NAME is for messages. Throws Error with Errc::Malformed and the line: no TOML, a key that is
/// not known or not allowed together with another, a value of the wrong kind.
Manifest decode_manifest(std::string_view toml, std::string_view name);
/// Writes what decode_manifest reads; keys at their default are left out.
std::string encode_manifest(const Manifest& manifest);

/// Gives the certificate for a path of a manifest; throws when there is none.
using CertificateLoader = std::function<sast::Certificate(const std::string& path)>;

/// A manifest, and what finds the files that it names.
struct LoadedManifest {
    Manifest manifest;
    CertificateLoader load;
};

/// The draft of the list that MANIFEST describes, signed by the holder of SIGNER at TIMESTAMP. Throws what
/// LOAD throws, or Error with Errc::Unencodable.
ListDraft make_draft(const Manifest& manifest, const CertificateLoader& load, const sast::Certificate& signer,
                     std::uint32_t timestamp);
/// One record of it.
RecordDraft make_draft(const ManifestRecord& record, const CertificateLoader& load);

}  // namespace ctlsign
