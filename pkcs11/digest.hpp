#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <pkcs11/bytes.hpp>

namespace ctlsign {

/// The digests of a trust list; the numbers are those of its header (tag 8).
enum class Digest : std::uint8_t { Sha1 = 1, Sha256 = 2, Sha512 = 3 };

/// "SHA-1", "SHA-256", "SHA-512".
std::string_view to_text(Digest digest) noexcept;
/// Reads "sha1", "SHA-1" and the like; nothing when it is none of them.
std::optional<Digest> find_digest(std::string_view text) noexcept;
/// 20, 32 or 64 octets.
std::size_t digest_size(Digest digest) noexcept;
/// The digest of the parts, one behind the other.
Bytes compute_digest(Digest digest, std::span<const ByteView> parts);
/// The same as DER of DigestInfo (RFC 8017, 9.2): what RSASSA-PKCS1-v1_5 pads and signs.
Bytes compute_digest_info(Digest digest, std::span<const ByteView> parts);

}  // namespace ctlsign
