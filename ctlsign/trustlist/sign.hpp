#pragma once

#include <cstdint>
#include <optional>

#include <ctlsign/trustlist/encode.hpp>
#include <sast/certificate.hpp>
#include <sast/signer.hpp>

namespace ctlsign {

/// A finished list: encoded, signed in one call of SIGNER, verified. What can be wrong is found before SIGNER
/// is asked: Errc::Unencodable, or Errc::NotVerified when the draft's own record of the signer would not
/// verify.
Bytes sign_list(const ListDraft& draft, sast::Signer& signer);

/// The draft that signs LIST anew, its records as they stand. The header names the holder of SIGNER as the
/// record of it does, since phones compare the stored octets. Throws Error with Errc::NotVerified for a list
/// that its own signature does not fit, with Errc::RuleRefused when SIGNER is no SAST of it.
ListDraft make_resign_draft(const TrustList& list, const sast::Certificate& signer, std::uint32_t timestamp);

/// A list whose signature is made elsewhere: what is to be signed, and its digest, for approval.
struct Prepared {
    Bytes octets;
    Bytes digest;
};
/// Throws as sign_list does before it asks the signer.
Prepared prepare(const ListDraft& draft);

struct AttachChecks {
    /// Checks the signature with its key; without one, with that of the SAST record in the file.
    std::optional<sast::Certificate> certificate{};
    std::optional<Bytes> digest{};  ///< the approved one
};
/// The finished list from PREPARED octets and a raw signature. Throws DecodeError on octets that are no
/// prepared list, Error with Errc::DigestMismatch, with Errc::NotVerified when the signature does not fit.
Bytes attach(ByteView prepared, ByteView signature, const AttachChecks& checks);

}  // namespace ctlsign
