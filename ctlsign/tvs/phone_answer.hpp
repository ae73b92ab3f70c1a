#pragma once

#include <ctlsign/phone/decision.hpp>
#include <ctlsign/tvs/message.hpp>

namespace ctlsign::tvs {

/// What a phone makes of ANSWER: a certificate that cannot be read vouches for nobody.
phone::TvsAnswer to_phone(const Answer& answer);

}  // namespace ctlsign::tvs
