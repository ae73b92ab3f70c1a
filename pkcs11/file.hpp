#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <pkcs11/bytes.hpp>

namespace ctlsign {

/// The octets of a file of at most LIMIT octets. Throws Error with the system's code: a folder, a file that
/// is missing, unreadable or larger (EFBIG).
Bytes read_file(const std::string& path, std::size_t limit);
/// What is left in DESCRIPTOR, which stays open; nothing when that is more than LIMIT octets. Memory is taken
/// for EXPECTED octets, and more only when they were too few. NAME is for messages. Throws the system's code.
std::optional<Bytes> read_descriptor(int descriptor, std::string_view name, std::size_t expected,
                                     std::size_t limit);
/// False, with errno, when the system refuses; what it took before stays written.
bool write_all(int descriptor, ByteView octets) noexcept;

}  // namespace ctlsign
