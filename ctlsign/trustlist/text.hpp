#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <pkcs11/bytes.hpp>

namespace ctlsign {

/// "2015-03-06T18:45:13Z" (RFC 3339) of Unix seconds.
std::string format_utc(std::int64_t seconds);
/// Unix seconds of an RFC 3339 time with its offset, or of plain digits. Nothing when it is neither, has a
/// fraction, or does not fit a trust list (1970 to 2106).
std::optional<std::uint32_t> find_timestamp(std::string_view text) noexcept;
/// TIME, where it fits a trust list.
std::optional<std::uint32_t> find_timestamp(std::chrono::sys_seconds time) noexcept;

/// The octets of an IPv4 or IPv6 address. Nothing when TEXT is none.
std::optional<Bytes> find_address(const std::string& text);
/// An address of 4 or 16 octets as text. Nothing for another number of octets.
std::optional<std::string> address_text(ByteView octets);

}  // namespace ctlsign
