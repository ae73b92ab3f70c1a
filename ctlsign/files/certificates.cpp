#include <filesystem>

#include <ctlsign/files/certificates.hpp>
#include <ctlsign/files/load.hpp>
#include <sast/error.hpp>

namespace ctlsign {

std::vector<sast::Certificate> decode_certificates(ByteView content, const std::string& name) {
    try {
        auto certificates = sast::Certificate::decode_all(content);
        if (!certificates.empty()) return certificates;
    } catch (const Error& error) {
        throw Error(error.code(), "reading the certificate", name, "give a certificate in PEM or DER");
    }
    throw Error(sast::Errc::MalformedCertificate, "reading the certificate", name,
                "the file holds no certificate");
}

std::vector<sast::Certificate> load_certificates(const std::string& path) {
    return decode_certificates(load_file(path, kMaxFileSize).bytes, path);
}

CertificateLoader make_certificate_loader(const std::string& folder) {
    return [folder = std::filesystem::path(folder)](const std::string& path) {
        return load_certificates((folder / path).string()).front();
    };
}

}  // namespace ctlsign
