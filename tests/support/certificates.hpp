#pragma once

#include <string>

#include <sast/certificate.hpp>
#include <tests/support/data.hpp>

namespace ctlsign::testing {

/// The one certificate of a PEM file under tests/data.
inline sast::Certificate load_certificate(const std::string& name) {
    return sast::Certificate::decode_pem(read_text(name)).at(0);
}

}  // namespace ctlsign::testing
