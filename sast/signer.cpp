#include <fmt/format.h>

#include <utility>

#include <sast/error.hpp>
#include <sast/signer.hpp>

namespace ctlsign::sast {

Signer::Facts make_facts(Certificate certificate, std::string description) {
    const unsigned bits = certificate.key_bits();
    const bool has_code = bits == 512 || bits == 1024 || bits == 2048 || bits == 4096;
    if (certificate.key_kind() != KeyKind::Rsa || !has_code) {
        throw Error(Errc::UnsupportedKey, "choosing the signer", description,
                    certificate.key_kind() == KeyKind::Rsa
                        ? fmt::format("its RSA key has {} bits; 512, 1024, 2048 and 4096 can sign", bits)
                        : "its key is not RSA");
    }
    Signer::Facts facts{.certificate = std::move(certificate), .description = std::move(description)};
    facts.key_bits = bits;
    facts.signature_length = bits / 8;
    return facts;
}

}  // namespace ctlsign::sast
