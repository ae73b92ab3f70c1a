#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <ctlsign/cluster/rules.hpp>
#include <ctlsign/cluster/state.hpp>
#include <ctlsign/trustlist/encode.hpp>

namespace ctlsign::cluster {

/// The publisher's certificates that stand as SAST in a tokenless CTL, the one that signs first. Empty where
/// the stores do not hold the one that signs.
std::vector<sast::Certificate> publisher_sasts(const State& state);

/// The common name of a token's certificate as --token and --lost take it: the CTL client pads it.
std::string token_name(const sast::Certificate& token);
/// Those of TOKENS.
std::string token_names(std::span<const sast::Certificate> tokens, std::string_view separator = ", ");

/// The publisher's CallManager or ITLRecovery, when it is stored.
const StoredCertificate* find_publisher_certificate(const State& state, Store store);

/// Whether the certificate in STORE of NODE stands in a CTL that is made in mixed mode, as the cluster is
/// secured.
bool stands_in_ctl(const State& state, Store store, const Node& node);
/// Whether phones cannot know of STORED, which has changed, before a new CTL comes: in mixed mode, of what
/// stands there. All else is told by the lists that they fetch after a reset.
bool waits_for_ctl(const State& state, const StoredCertificate& stored);
/// The command that brings the CTL up to the stores: update, reset-localkey where phones do not know the
/// usual signer but the one that then signs, or mixed-mode where there is none.
std::string_view remaking_command(const State& state);
inline constexpr std::string_view kResetLocalKey = "ctlsign cluster reset-localkey";

/// The servers' own certificates that the CTL on the nodes does not hold and one of today would. None without
/// a CTL, and in non-secure mode, where none is made.
std::vector<const StoredCertificate*> find_not_in_ctl(const State& state);
/// "the CTL does not hold the CAPF certificate that cucm-pub has now: run ...", for each of those.
std::vector<std::string> describe_not_in_ctl(const State& state);

/// The records of a CTL by its way and mode (docs/formats.md), from the certificates of
/// today. SASTS are the publisher's of a tokenless CTL, or the tokens. What the stores miss is a refusal.
std::variant<std::vector<RecordDraft>, Refusal> make_records(const State& state, Way way, Mode mode,
                                                             std::span<const sast::Certificate> sasts);

}  // namespace ctlsign::cluster
