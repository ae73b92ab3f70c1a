#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <ctlsign/trustlist/model.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <ctlsign/trustlist/verify.hpp>

namespace ctlsign {

/// LIST as `show ctl` of a Unified CM prints it (docs/formats.md), the last line
/// from VERDICT. MODIFIED is the file's modification time as text; without one its line is left out.
std::string show(const TrustList& list, const Verdict& verdict, std::optional<std::string_view> modified);
/// The same for a signed configuration file: checksums, header, and what is known of the payload.
std::string show(const SgnFile& file, const Verdict& verdict, std::optional<std::string_view> modified);
/// What `show ctl` prints when there is no file.
std::string_view show_absent() noexcept;

/// Of a whole file, in lower-case hexadecimal; MD5 is empty where the system's policy forbids it.
struct Checksums {
    std::string md5, sha1;
};
/// Phones show one or the other, depending on the model, and people compare them by eye.
Checksums checksums(ByteView octets);

/// Whether the header names RECORD as the signer: same issuer and serial, as stored, and the SAST role.
bool is_signer(const Record& record, const SignedFile& file) noexcept;

}  // namespace ctlsign
