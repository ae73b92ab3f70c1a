#pragma once

#include <string>
#include <vector>

#include <ctlsign/trustlist/manifest.hpp>
#include <sast/certificate.hpp>

namespace ctlsign {

/// Every certificate of PEM, or the one of DER; at least one, the holder's own first. NAME stands in errors.
/// Throws sast::Errc::MalformedCertificate.
std::vector<sast::Certificate> decode_certificates(ByteView content, const std::string& name);
/// The same from a file. Also throws what load_file throws.
std::vector<sast::Certificate> load_certificates(const std::string& path);

/// Finds the certificates that a manifest in FOLDER names.
CertificateLoader make_certificate_loader(const std::string& folder);

}  // namespace ctlsign
