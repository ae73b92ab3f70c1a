#pragma once

#include <string>

#include <cli/json.hpp>
#include <ctlsign/phone/preflight.hpp>

namespace ctlsign::cli {

/// Counts, rules and steps. Devices: the names under each rule and each way too, and what phones have, by
/// groups.
enum class Devices { Named, Counted };
Json preflight_json(const phone::Inventory& inventory, const phone::Preflight& result, Devices devices);

/// The same for people, a line each; a few names of those that would not take the list.
std::string preflight_text(const phone::Inventory& inventory, const phone::Preflight& result);

/// "120 phones: 100 accept, 15 refuse, of 5 it is not known"
std::string preflight_counts(const phone::Inventory& inventory, const phone::Preflight& result);

}  // namespace ctlsign::cli
