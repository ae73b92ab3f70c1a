#pragma once

#include <optional>
#include <string>
#include <vector>

#include <pkcs11/bytes.hpp>
#include <sast/certificate.hpp>
#include <softhsm-profiles/profile.hpp>

namespace ctlsign::softhsm {

/// The numbers of an RSA private key, big-endian. Wiped when destroyed.
struct RsaNumbers {
    Bytes modulus, public_exponent, private_exponent, prime1, prime2, exponent1, exponent2, coefficient;

    RsaNumbers() = default;
    RsaNumbers(RsaNumbers&&) noexcept = default;
    RsaNumbers& operator=(RsaNumbers&&) noexcept = default;
    ~RsaNumbers();
};

/// A token to be made: everything is checked, nothing has to be looked up.
struct TokenRequest {
    struct Key {
        std::optional<RsaNumbers> imported;  ///< none: made on the token
        unsigned bits = 0;
        std::optional<sast::Certificate> certificate;
        std::string subject, label;
        bool stores_certificate = true;
    };
    std::string module;         ///< libsofthsm2.so
    std::string configuration;  ///< softhsm2.conf of an empty token folder
    std::string label;
    Profile profile;
    std::vector<Key> keys;
};

struct MadeToken {
    std::string serial;
    std::vector<Bytes> certificates;  ///< DER
};

/// Makes the token with a SoftHSM2 of its own in this process, which must be one made for this and thrown
/// away afterwards: SOFTHSM2_CONF is set, and SoftHSM2 changes OpenSSL's state.
MadeToken make_token(const TokenRequest& request);

}  // namespace ctlsign::softhsm
