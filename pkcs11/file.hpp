#pragma once

#include <cstddef>
#include <string>

#include <pkcs11/bytes.hpp>

namespace ctlsign {

/// The octets of a file of at most LIMIT octets. Throws Error with the system's code: a folder, a file that
/// is missing, unreadable or larger (EFBIG).
Bytes read_file(const std::string& path, std::size_t limit);

}  // namespace ctlsign
