#pragma once

#include <chrono>

#include <pkcs11/file.hpp>
#include <sast/certificate.hpp>
#include <sast/public_key.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/cryptoki.hpp>

namespace ctlsign::testing {

/// Far more than what is waited for takes.
inline constexpr std::chrono::seconds kLongTime(60);

inline constexpr std::string_view kSignedText = "what is signed";

/// A signature with CKM_RSA_PKCS over DigestInfo (SHA-1), which every profile has; with a login for the
/// operation where the profile asks for it.
inline Bytes sign_digest_info(const Cryptoki& cryptoki, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                              const VirtualToken& token) {
    const ByteView parts[] = {as_bytes(kSignedText)};
    Cryptoki::must(cryptoki.sign_init(session, CKM_RSA_PKCS, key), "C_SignInit");
    if (token.profile().key.always_authenticate)
        Cryptoki::must(cryptoki.login(session, token.pin(), CKU_CONTEXT_SPECIFIC), "C_Login");
    return cryptoki.sign(session, compute_digest_info(Digest::Sha1, parts));
}

inline bool verifies(const VirtualToken& token, ByteView signature) {
    const auto certificate =
        sast::Certificate::decode_pem(as_text(read_file(token.certificate_file().string(), 1 << 16))).at(0);
    const ByteView parts[] = {as_bytes(kSignedText)};
    return sast::PublicKey::from_spki(certificate.spki_der()).verify(Digest::Sha1, parts, signature);
}

}  // namespace ctlsign::testing
