// usage: certificate_request TOKEN PIN_SOURCE SUBJECT
// A certificate request (PKCS#10, PEM) for the key of a token, which a PKCS#11 URI names.
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>

#include <bindings/openssl/examples/open.hpp>
#include <bindings/openssl/issue.hpp>

int main(int argc, char** argv) try {
    using namespace ctlsign;
    if (argc != 4) throw std::runtime_error("usage: certificate_request TOKEN PIN_SOURCE SUBJECT");
    const auto identity = examples::find_identity(argv[1]);
    const openssl::TokenKey key(examples::log_in(identity, argv[2]), identity.key_id);
    const Bytes request = openssl::make_certificate_request(key, argv[3], Digest::Sha256);
    return PEM_write(stdout, PEM_STRING_X509_REQ, "", request.data(), static_cast<long>(request.size())) > 0
               ? 0
               : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "certificate_request: %s\n", e.what());
    return 1;
}
