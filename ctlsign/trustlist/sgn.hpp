#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <sast/signer.hpp>

namespace ctlsign {

inline constexpr Version kSgnVersion{1, 0};

/// A configuration file that a phone downloads: a header, then the payload. decode_sgn makes one.
class SgnFile : public SignedFile {
  public:
    ByteView payload() const noexcept { return body(); }

  private:
    friend class Decoder;
    SgnFile() = default;
};

/// Throws DecodeError, or Error with Errc::Oversized.
SgnFile decode_sgn(Bytes octets);
SgnFile decode_sgn(ByteView octets);
/// The same for a file that waits for its signature: complete but for the SIGNATURE element.
SgnFile decode_unsigned_sgn(ByteView octets);
/// Whichever it is: both begin with the same header, and its version and the name in it tell them apart.
std::variant<TrustList, SgnFile> decode_any(Bytes octets);
/// The inverse of decode_sgn, from the elements.
Bytes encode(const SgnFile& file);

/// The header of a .sgn file that the holder of SIGNER signs: FILENAME is what phones ask for (".sgn"
/// included), TIMESTAMP in Unix seconds.
HeaderDraft make_sgn_header(const sast::Certificate& signer, std::string filename, Digest digest,
                            NameStyle style, Layout layout, std::uint32_t timestamp);

/// PAYLOAD behind a signed header, verified with the signer's certificate. HEADER names the file (".sgn"
/// included) and the signer; its version is taken as it stands (kSgnVersion). Throws as sign_list does.
Bytes sign_payload(const HeaderDraft& header, ByteView payload, sast::Signer& signer);

/// The same answer as for a trust list. The key comes from a TFTP or CCM+TFTP record of an installed list, or
/// from a certificate given; with neither it is not here.
Verdict verify(const SgnFile& file, const TrustAnchors& anchors, std::chrono::sys_seconds now);

}  // namespace ctlsign
