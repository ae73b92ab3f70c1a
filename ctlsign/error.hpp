#pragma once

#include <system_error>

#include <pkcs11/error.hpp>

namespace ctlsign {

enum class Errc {
    Malformed = 1,   ///< input that is not what it should be; the message holds the position
    Oversized,       ///< input past a limit
    Unencodable,     ///< a value that the format has no room or code for
    NotVerified,     ///< a file that was to be written, or signed anew, does not verify
    DigestMismatch,  ///< not the digest that was approved
    RuleRefused,     ///< by a rule, which the message names
    InUse,           ///< another process is changing the cluster
    NodeFailed,      ///< a node cannot be reached or written; the message says what became of the others
    Unfinished,      ///< nodes serve different files and cannot be brought together now
};
const std::error_category& category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

}  // namespace ctlsign

template <>
struct std::is_error_code_enum<ctlsign::Errc> : std::true_type {};
