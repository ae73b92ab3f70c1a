#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <pkcs11/bytes.hpp>

namespace ctlsign {

/// The octets of a file, and when it was last modified (Unix seconds; nothing for a pipe).
struct LoadedFile {
    Bytes bytes;
    std::optional<std::int64_t> modified;
};

/// Reads the file or pipe at PATH. More than LIMIT octets are Errc::Oversized, and a file that says so is not
/// read at all. Throws the system's code for a folder, a missing or an unreadable file. An empty one is read.
LoadedFile load_file(const std::string& path, std::size_t limit);
/// The same from an open descriptor, which stays open; NAME is for messages.
LoadedFile load_descriptor(int descriptor, std::string_view name, std::size_t limit);

/// True when both paths lead to one existing file.
bool same_file(const std::string& a, const std::string& b) noexcept;

}  // namespace ctlsign
