#pragma once

#include <optional>
#include <string>

#include <pkcs11/bytes.hpp>

namespace ctlsign::simulator {

/// What became of a file that was asked for. No octets and no problem: there is no such file.
struct Fetched {
    std::optional<Bytes> octets{};
    std::string problem{};
    bool unanswered = false;  ///< nobody is there: the next address of the server may be better
};

}  // namespace ctlsign::simulator
