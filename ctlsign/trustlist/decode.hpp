#pragma once

#include <cstddef>
#include <string_view>

#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/model.hpp>

namespace ctlsign {

/// A file that is not what the format says, and where. Its code is Errc::Malformed.
class DecodeError : public Error {
  public:
    DecodeError(std::size_t position, std::string_view problem);
    std::size_t position() const noexcept { return position_; }  ///< from the beginning of the file

  private:
    std::size_t position_;
};

/// Reads a CTL or ITL file. Strict: every length right, no duplicate of a known tag, every mandatory header
/// element present; unknown tags and roles are kept. Throws DecodeError, or Error with Errc::Oversized.
TrustList decode_list(Bytes octets);
TrustList decode_list(ByteView octets);

/// The same for a list that waits for its signature (a .tbs): complete but for the SIGNATURE element.
TrustList decode_unsigned_list(ByteView octets);

}  // namespace ctlsign
