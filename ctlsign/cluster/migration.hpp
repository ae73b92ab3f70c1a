#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/rules.hpp>

namespace ctlsign::cluster {

/// A certificate by which a cluster is known to another one, so that phones may move to it (W16).
struct Introduction {
    std::string cluster;  ///< whose it is
    Store store{};        ///< CallManager or ITLRecovery
    sast::Certificate certificate;
};

/// What this cluster shows to others: the CallManager certificate of every node that serves files, and from
/// release 12.0 the publisher's ITLRecovery. What the stores miss is a refusal.
std::variant<std::vector<Introduction>, Refusal> introduce(const State& state);

/// PKCS#12 without keys; each friendly name says whose the certificate is. Only a PASSPHRASE keeps others
/// from changing it: an empty one shows damage, no more.
Bytes encode_introductions(std::span<const Introduction> introductions, std::string_view passphrase);
/// NAME is for messages. Throws Errc::Malformed, sast::Errc::WrongPassphrase.
std::vector<Introduction> decode_introductions(ByteView pkcs12, std::string_view passphrase,
                                               const std::string& name);

/// Those of other clusters than the one of STATE.
std::vector<Introduction> select_foreign(const State& state, std::span<const Introduction> introductions);
/// Where tokens sign the CTL of this cluster: that what introduce() shows does not vouch for it, and what is
/// to be done in the clusters that phones come from.
std::optional<std::string> note_tokens(const State& state);
/// Whether this cluster has shown one of INTRODUCTIONS: its stores keep what was regenerated since.
bool is_shown_by(const State& state, std::span<const Introduction> introductions);
/// Whether INTRODUCTIONS hold all that this cluster shows now: whoever imports them lets its phones come
/// back.
bool shows_all_of(const State& state, std::span<const Introduction> introductions);
/// The rollback rule: phones that are to move must be able to ask TVS about the other cluster's signer.
std::optional<Refusal> check_migration(const State& state);
/// Puts CallManager certificates into CallManager-trust and Phone-SAST-trust, ITLRecovery into
/// Phone-SAST-trust; with the latter, TVS is to be restarted. All or nothing; gives how many were new.
std::size_t import_introductions(Writer& writer, std::span<const Introduction> foreign);

/// Whether phones may come back.
enum class Journey { BothWays, OneWay };
/// What to do before phones move from the cluster of STATE to those of FOREIGN, a line each.
std::vector<std::string> migration_steps(const State& state, std::span<const Introduction> foreign,
                                         Journey journey);

}  // namespace ctlsign::cluster
