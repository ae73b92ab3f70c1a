#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <ctlsign/trustlist/manifest.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <sast/certificate.hpp>
#include <sast/key_file.hpp>

namespace ctlsign::cli {

/// A file as it was read; "-" is standard input.
struct Input {
    std::string name;
    Bytes bytes;
    std::optional<std::int64_t> modified;  ///< Unix seconds; nothing for standard input
};

/// Throws the system's code, or Errc::Oversized past LIMIT octets, which are not read.
Input read_input(const std::string& path, std::size_t limit = kMaxFileSize);

/// A file with a private key, read as others are, up to limits::kKeyFile.
struct KeyInput {
    std::string name;
    sast::KeyOctets content;
};
KeyInput read_key(const std::string& path);

/// A CTL or ITL file. Throws Error that names the file: Errc::Malformed with the position, and what the file
/// seems to be instead.
TrustList decode_list_input(Input&& input);
/// A signed configuration file. Throws as decode_list_input does.
SgnFile decode_sgn_input(Input&& input);
/// Whichever the header says it is.
std::variant<TrustList, SgnFile> decode_any_input(Input&& input);

TrustList load_list(const std::string& path);
/// Every certificate of a PEM file, or the one of a DER file; at least one. Throws
/// sast::Errc::MalformedCertificate.
std::vector<sast::Certificate> load_certificates(const std::string& path);
/// The first of them: the holder's own in a chain.
sast::Certificate load_certificate(const std::string& path);

/// Paths in it are relative to its folder.
LoadedManifest load_manifest(const std::string& path);

/// --timestamp when given, else SOURCE_DATE_EPOCH, else OTHERWISE, else now. Throws UsageError on one that is
/// no time.
std::uint32_t choose_timestamp(const std::string& option, std::optional<std::uint32_t> otherwise);

/// The value of --digest. Throws UsageError.
Digest get_digest(const std::string& option);
/// BITS as --bits gives them. Throws UsageError unless a trust list has a code for such keys.
void check_bits(unsigned bits);

std::chrono::sys_seconds now();
std::int64_t unix_now();

}  // namespace ctlsign::cli
