#pragma once

#include <functional>
#include <string>

#include <pkcs11/bytes.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::softhsm {

/// RSAPublicKey DER (RFC 8017, A.1.1) of a modulus and an exponent, both big-endian.
Bytes encode_rsa_public_key(ByteView modulus, ByteView exponent);

/// A certificate for RSA_PUBLIC_KEY (DER) issued by its own key, SHA-256, valid for twenty years from now.
/// SUBJECT is written "CN=...,O=..." with a backslash before a comma that belongs to a value. SIGN gets the
/// octets to be signed.
sast::Certificate make_self_signed(const std::string& subject, ByteView rsa_public_key,
                                   const std::function<Bytes(ByteView)>& sign);

}  // namespace ctlsign::softhsm
