#pragma once

#include <nlohmann/json.hpp>

#include <ctlsign/trustlist/diff.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <ctlsign/trustlist/verify.hpp>

namespace ctlsign::cli {

using Json = nlohmann::ordered_json;

/// Times are RFC 3339 in UTC, octets hexadecimal, records counted from 1. Absent elements are left out.
Json to_json(const TrustList& list);
Json to_json(const SgnFile& file);
Json to_json(const Verdict& verdict);
Json to_json(const ListDifference& difference);

/// Prints VALUE on standard output. Octets that are no UTF-8 become U+FFFD.
void print_json(const Json& value);

}  // namespace ctlsign::cli
