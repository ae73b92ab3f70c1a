#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <pkcs11/bytes.hpp>
#include <sast/certificate.hpp>
#include <softhsm-profiles/profile.hpp>

namespace ctlsign::softhsm {

enum class CertificateObject { Stored, LeftOut };

/// One RSA key pair of a token, and its certificate.
struct Key {
    std::string pem;  ///< a private key to import (PEM, not encrypted); empty: the pair is made on the token
    unsigned bits = 0;  ///< of a pair made on the token; 0: the profile's first size
    std::optional<sast::Certificate> certificate;  ///< of an imported key; none: a self-signed one is made
    std::string subject;  ///< of a self-signed certificate, "CN=...,O=..."; empty: the profile's
    std::string label;    ///< CKA_LABEL of the three objects; empty: the token's name
    CertificateObject certificate_object = CertificateObject::Stored;
};

struct Provisioned {
    std::filesystem::path configuration;  ///< what SOFTHSM2_CONF must name to see the token
    std::string label;
    std::string serial;                           ///< as CK_TOKEN_INFO says it
    std::vector<sast::Certificate> certificates;  ///< of the keys, in their order; made even when left out
};

/// Makes a SoftHSM2 token in FOLDER, private to the user, which holds softhsm2.conf and any number of tokens:
/// label, PINs and what keys allow from PROFILE; CKA_ID of all objects is the SHA-1 of the RSAPublicKey. On
/// failure nothing is left. Works in a forked child, which a SoftHSM2 in this process does not notice: best
/// before there are other threads (a lock that one holds at the fork stays held there; the child is ended
/// after two minutes). Throws Error.
Provisioned provision_token(const std::filesystem::path& folder, const std::string& name,
                            const Profile& profile, std::span<const Key> keys);

}  // namespace ctlsign::softhsm
