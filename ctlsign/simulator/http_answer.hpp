#pragma once

#include <string_view>

#include <ctlsign/simulator/fetched.hpp>

namespace ctlsign::simulator {

/// Private: the file of ANSWER, all that an HTTP/1.x server sent until it closed the connection. 404 is no
/// file; another status, a body that is not as long as was said, or no answer at all is a problem.
Fetched decode_http_answer(std::string_view answer);

}  // namespace ctlsign::simulator
