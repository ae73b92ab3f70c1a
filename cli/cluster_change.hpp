#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <cli/cluster_access.hpp>
#include <cli/cluster_signers.hpp>
#include <cli/command.hpp>
#include <cli/fleet.hpp>
#include <cli/json.hpp>
#include <ctlsign/cluster/publish.hpp>
#include <ctlsign/cluster/workflow.hpp>

namespace ctlsign::cli {

/// What every command that changes the CTL takes.
struct ChangeOptions {
    ClusterOptions cluster;
    ClusterSignerOptions signers;
    FleetOptions fleet;
    std::string digest, timestamp;
    std::optional<cluster::Way> way;
    Answer answer = Answer::Ask;
    Force force = Force::No;
    bool dry_run = false;
    Format format = Format::AsText;
};
void add_change_options(Command command, ChangeOptions& options);
/// --token, or --tokenless: where either may sign.
void add_ways(Command command, ChangeOptions& options);

/// What Unified CM says about an operation.
struct Wording {
    std::string_view question, beginning, end;
};

/// To the letter, as Unified CM says it.
const Wording& wording_of(cluster::Operation operation);

/// Octets of the CTL that PLAN makes. Throws Errc::Unencodable where not all of it fits into one.
std::size_t size_when_signed(const cluster::Plan& plan);

/// --dry-run is a rehearsal.
Purpose purpose_of(const ChangeOptions& options);

/// Where a change begins: at what the cluster is now, or, foreseen, behind the deletion that comes first.
enum class Outset { Now, BehindDeletion };
/// The cluster at that moment.
struct Outlook {
    cluster::State state;
    std::vector<cluster::ReachedNode> nodes;  ///< empty until a plan needs them
};
Outlook look_ahead(const cluster::Database& database, Outset outset);
/// Works REQUEST out as far as rules and nodes go. Throws Errc::RuleRefused, Errc::NodeFailed.
cluster::Planned work_out(const cluster::Request& request, Outlook& outlook, Force force);

/// What else a plan is to remember; may be empty.
using Amendment = std::function<void(cluster::Plan&)>;
/// What is known of a change beforehand.
struct Background {
    std::vector<GivenToken> at_hand{};  ///< tokens that the request names already
    Outset outset = Outset::Now;
    Amendment amend{};
};
/// Carries REQUEST out from the first rule to the last node; what OPTIONS say is filled in here. Prints what
/// is said in words; the answer is the report for --json.
Json perform_change(Administration& administration, const ChangeOptions& options, cluster::Request request,
                    const Wording& wording, Background background);
/// The same, the report printed.
ExitCode change_cluster(const ChangeOptions& options, cluster::Request request, const Wording& wording,
                        std::vector<GivenToken> at_hand = {});

/// Throws what perform_change would before it asks for the PIN. Changes nothing, asks nobody.
void require_feasible(const cluster::Database& database, const ChangeOptions& options,
                      cluster::Request request, const std::vector<GivenToken>& at_hand, Outset outset);

/// Takes the CTL from every node, or from NODE alone. Prints and answers as perform_change does; AMEND as
/// there.
Json perform_deletion(Administration& administration, const ChangeOptions& options,
                      const std::string& node = {}, const Amendment& amend = {});

}  // namespace ctlsign::cli
