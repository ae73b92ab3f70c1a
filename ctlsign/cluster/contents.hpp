#pragma once

#include <span>
#include <variant>
#include <vector>

#include <ctlsign/cluster/rules.hpp>
#include <ctlsign/cluster/state.hpp>
#include <ctlsign/trustlist/encode.hpp>

namespace ctlsign::cluster {

/// The publisher's certificates that stand as SAST in a tokenless CTL, the one that signs first. Empty where
/// the stores do not hold the one that signs.
std::vector<sast::Certificate> publisher_sasts(const State& state);

/// The publisher's CallManager or ITLRecovery, when it is stored.
const StoredCertificate* find_publisher_certificate(const State& state, Store store);

/// The records of a CTL by its way and mode (docs/formats.md), from the certificates of
/// today. SASTS are the publisher's of a tokenless CTL, or the tokens. What the stores miss is a refusal.
std::variant<std::vector<RecordDraft>, Refusal> make_records(const State& state, Way way, Mode mode,
                                                             std::span<const sast::Certificate> sasts);

}  // namespace ctlsign::cluster
