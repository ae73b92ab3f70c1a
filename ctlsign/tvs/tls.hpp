#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sast/certificate.hpp>

struct evp_pkey_st;

namespace ctlsign::tvs {

/// What one end of a connection shows for itself: its certificate, those above it, and the key of the first.
struct TlsIdentity {
    std::vector<sast::Certificate> chain;
    std::shared_ptr<evp_pkey_st> key;
    bool makes_pss = true;  ///< the key can make RSA-PSS signatures, without which there is no TLS 1.3

    /// Certificates and an unencrypted key in one PEM text; NAME is for messages. Throws sast::Errc::NoKey,
    /// NoCertificate, MalformedCertificate.
    static TlsIdentity decode(std::string_view pem, const std::string& name);
};

/// TLS 1.0 and 1.1. Only: as a phone of the 7900 series, which knows nothing later than 1.0.
enum class OldTls { Refused, Allowed, Only };
enum class SmallKeys { Refused, Allowed };  ///< RSA below 2048 bits

struct TlsPolicy {
    OldTls old = OldTls::Refused;
    SmallKeys small_keys = SmallKeys::Refused;
};

}  // namespace ctlsign::tvs
