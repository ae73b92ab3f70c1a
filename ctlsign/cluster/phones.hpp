#pragma once

#include <vector>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/phone/decision.hpp>
#include <ctlsign/phone/inventory.hpp>
#include <ctlsign/tvs/certificate_store.hpp>

namespace ctlsign::cluster {

/// What the stores of a cluster let its TVS servers vouch for, each certificate once, and as what:
/// docs/phones.md.
std::vector<tvs::DatabaseEntry> tvs_database(const State& state);

/// What the TVS servers of a cluster say of the signer of LIST while they serve SERVED (null: no CTL): every
/// node with a TVS certificate is one, the publisher the first.
std::vector<phone::TvsServer> tvs_servers(const State& state, const TrustList& list, const TrustList* served);

/// Adds to KNOWN the CTLs of the cluster's history that phones of INVENTORY hold, as "publication 17".
void add_published(phone::KnownLists& known, const Database& database, const phone::Inventory& inventory);

}  // namespace ctlsign::cluster
