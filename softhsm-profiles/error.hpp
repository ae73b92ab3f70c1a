#pragma once

#include <system_error>

#include <pkcs11/error.hpp>

namespace ctlsign::softhsm {

enum class Errc {
    MalformedProfile = 1,  ///< not TOML, or a key or value that a profile cannot have
    UnknownProfile,        ///< neither a shipped profile nor a file
    BadName,               ///< a name or path that a token cannot have
    TokenExists,           ///< a virtual token of that name is there already
    NoSoftHsm,             ///< libsofthsm2.so is not installed
    ProvisioningDied,      ///< the process that makes the token ended without an answer
    NoSuchToken,           ///< no virtual token of that name
    TokenPlugged,          ///< it is in a reader already
    TokenUnplugged,        ///< it is in no reader
    ReaderOccupied,        ///< another one is in that reader
    MalformedFault,        ///< a line that no fault script can have
    NoVirtualModule,       ///< the module of virtual tokens is not installed
};
const std::error_category& category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

}  // namespace ctlsign::softhsm

template <>
struct std::is_error_code_enum<ctlsign::softhsm::Errc> : std::true_type {};
