#pragma once

#include <string>

#include <ctlsign/phone/preflight.hpp>

namespace ctlsign::cli {

/// What the page shows.
struct PreflightFacts {
    const phone::Inventory& inventory;
    const phone::Preflight& result;
    const phone::KnownLists& known;
    const TrustList& list;
    std::string list_name, time;  ///< of the new list; when this was decided
};

/// One HTML file that needs nothing else: counts, steps, a picture of who trusts whom, tables.
std::string preflight_page(const PreflightFacts& facts);

}  // namespace ctlsign::cli
