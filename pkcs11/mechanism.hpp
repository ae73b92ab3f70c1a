#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <pkcs11/bytes.hpp>
#include <pkcs11/digest.hpp>
#include <pkcs11/quirks.hpp>

namespace ctlsign::pkcs11 {

/// CK_MECHANISM_TYPE; the named ones are those of RSASSA-PKCS1-v1_5 and of making a key pair.
enum class Mechanism : unsigned long {
    RsaPkcsKeyPairGen = 0x0,
    RsaPkcs = 0x1,
    RsaX509 = 0x3,
    Sha1RsaPkcs = 0x6,
    Sha256RsaPkcs = 0x40,
    Sha384RsaPkcs = 0x41,
    Sha512RsaPkcs = 0x42,
};
/// "CKM_RSA_PKCS"; "CKM_0x..." for one without a name here.
std::string to_text(Mechanism mechanism);

/// CK_MECHANISM_INFO. Key sizes in bits as PKCS#11 says for RSA; 0 when not told.
struct MechanismInfo {
    Mechanism mechanism{};
    unsigned long min_key_bits = 0, max_key_bits = 0;
    bool can_sign = false;
    bool hardware = false;
};

/// What the token is given: the message, a DigestInfo (RFC 8017, 9.2), or the whole padded block.
enum class InputForm { Message, DigestInfo, PaddedBlock };

/// One way to a signature: what the token is asked for, and what it is given.
struct SignatureStep {
    Mechanism mechanism{};
    InputForm input{};
};

/// The ways to one signature, best first, and in words why each was taken or left.
struct MechanismPlan {
    std::vector<SignatureStep> steps;
    std::vector<std::string> explanation;
};

/// Combined mechanism, else digest here and CKM_RSA_PKCS, else padding here and CKM_RSA_X_509; from what the
/// token OFFERS for keys of KEY_BITS and, when the key has CKA_ALLOWED_MECHANISMS, from ALLOWED; without
/// what the token's QUIRKS rule out. Pure. No way: an empty list of steps.
MechanismPlan plan_signature(Digest digest, unsigned key_bits, std::span<const MechanismInfo> offers,
                             const std::optional<std::vector<Mechanism>>& allowed = std::nullopt,
                             const Quirks& quirks = {});

/// The mechanisms plan_signature may choose for DIGEST, to ask a token about.
std::vector<Mechanism> candidate_mechanisms(Digest digest);

/// Whether a key of KEY_BITS has room for DIGEST: DigestInfo and eleven octets of padding (RFC 8017, 9.2).
bool fits_key(Digest digest, unsigned key_bits);

/// What STEP sends to the token for MESSAGE and an RSA modulus of MODULUS_SIZE octets.
Bytes encode_input(SignatureStep step, Digest digest, ByteView message, std::size_t modulus_size);

}  // namespace ctlsign::pkcs11
