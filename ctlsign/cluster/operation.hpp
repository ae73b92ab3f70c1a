#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/publish.hpp>
#include <ctlsign/cluster/workflow.hpp>
#include <sast/signer.hpp>

namespace ctlsign::cluster {

/// What was carried out.
struct Carried {
    std::optional<Bytes> octets;  ///< the CTL on every node; nothing after its deletion
    std::int64_t publication = 0;
};
/// Carries PLAN out: has SIGNER sign (none for a deletion), prepares every node, switches them, reads them
/// again. A failure before the first switch changes nothing; one after it takes every node back. FORCED goes
/// to the audit. What a killed process leaves is in the journal: see resume.
Carried carry_out(Writer& writer, const Plan& plan, sast::Signer* signer, std::vector<ReachedNode>& nodes,
                  const std::vector<Refusal>& forced);

/// Takes OCTETS, which every node serves already, for the cluster's CTL: one that was secured otherwise.
/// Tokens that it does not name are retired. Throws Errc::Malformed, or Errc::NotVerified when its signature
/// is not valid. Returns the publication's id.
std::int64_t adopt(Writer& writer, const Bytes& octets);

/// Remembers what became of TOKEN, which the CTL on the nodes does not name: nothing is signed for it.
void set_token_state(Writer& writer, const sast::Certificate& token, TokenState state);

/// What a killed or failed process has left half done.
struct Unfinished {
    std::string operation;
    std::int64_t started = 0;  ///< Unix seconds
    enum class Kind { Publication, Key } kind = Kind::Publication;
    enum class Step { Preparing, Switching } step = Step::Preparing;
};
/// From the journal; nothing when every operation came to its end.
std::optional<Unfinished> find_unfinished(const Database& database);
/// The way out of a loss that a deletion has begun: it has not come to its end before the next CTL is there.
std::optional<std::string> find_way_out(const Database& database);

/// How it ended: as it was meant to, or as if it had never begun.
enum class Resumed { Finished, Undone };
/// Ends it. A certificate whose key was written stands. Of a publication what had not begun to switch is
/// undone; otherwise every node is switched, or, when one refuses, all go back. Throws Errc::Unfinished when
/// neither can be done now.
Resumed resume(Writer& writer);

}  // namespace ctlsign::cluster
