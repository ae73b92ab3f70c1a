#pragma once

#include <string_view>

#include <pkcs11/bytes.hpp>

namespace ctlsign::sast {

/// DER of the X.509 Name written in TEXT, in the order written: "CN=SAST-ADN008580ef,OU=IPCBU,O=Cisco
/// Systems\, Inc.". A backslash takes the next character as it is; types are OpenSSL's names or dotted
/// numbers. Throws Errc::MalformedCertificate.
Bytes encode_subject(std::string_view text);

}  // namespace ctlsign::sast
