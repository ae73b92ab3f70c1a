#pragma once

#include <string>

#include <cli/json.hpp>
#include <ctlsign/cluster/expiry.hpp>

namespace ctlsign::cli {

/// One certificate that expires: when, what breaks then, and what to do about it.
std::string expiry_line(const cluster::Expiry& expiry);
Json expiry_json(const cluster::Expiry& expiry);

}  // namespace ctlsign::cli
