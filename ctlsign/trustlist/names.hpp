#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <sast/certificate.hpp>

namespace ctlsign {

/// How names and serial numbers of a certificate are written. Phones compare the stored octets, so the style
/// is part of the data.
enum class NameStyle {
    CallManager,  ///< CN=..;OU=..;O=..;L=..;ST=..;C=..; serial as in the certificate
    CtlClient,    ///< cn=..;ou=..;o=.., cut at commas, as the CTL client writes eTokens; serial byte-reversed
    Rfc4514,      ///< CN=..,OU=.. in the certificate's order; serial without leading zeros, as the open tools
};
std::string_view to_text(NameStyle style) noexcept;  ///< "callmanager", "ctl-client", "rfc4514"
std::optional<NameStyle> find_name_style(std::string_view text) noexcept;

/// A Name (DER, with its head) as text, in UTF-8. Throws Error with sast::Errc::MalformedCertificate when it
/// is no Name, Errc::Unencodable when a value holds a NUL.
std::string name_text(ByteView name_der, NameStyle style);
/// A serial number's content octets, in the style's order.
Bytes serial_octets(ByteView serial, NameStyle style);
/// True when both stand for the same number: either byte order, leading zeros ignored.
bool same_serial(ByteView stored, ByteView of_certificate) noexcept;

/// Tag 8 of a record: every tokenless file has it, no file of the CTL client does.
enum class CertificateSignature { Write, Omit };

/// A record for CERTIFICATE, without DNS name and address: those are no business of the certificate.
RecordDraft make_record(const sast::Certificate& certificate, NameStyle style, Role role,
                        CertificateSignature signature);
/// How a header names the holder of CERTIFICATE.
SignerId make_signer_id(const sast::Certificate& certificate, NameStyle style);

}  // namespace ctlsign
