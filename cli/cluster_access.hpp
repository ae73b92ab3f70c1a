#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <cli/command.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/rules.hpp>

namespace ctlsign::cli {

/// --cluster FILE.
struct ClusterOptions {
    std::string path = "cluster.db";
};
void add_cluster_option(Command command, ClusterOptions& options);
/// --yes.
void add_yes_flag(Command command, Answer& answer);
/// --force.
enum class Force { No, Yes };
void add_force_flag(Command command, Force& force);
/// Refuses by the first of REFUSALS, unless all of them may be forced and are; says then what will happen.
/// Throws Errc::RuleRefused.
void require_allowed(const std::vector<cluster::Refusal>& refusals, Force force);

/// The same, and says nothing.
void require_possible(const std::vector<cluster::Refusal>& refusals, Force force);

/// What a command is about to do to a cluster: --dry-run changes nothing.
enum class Purpose { Change, Rehearse };
/// A cluster opened to change it, by one administrator at a time. What an earlier command left half done is
/// ended first, and told of; who rehearses is refused until it is (Errc::Unfinished). A way out of a loss
/// that has been begun is told of.
struct Administration {
    cluster::Database database;
    cluster::Writer writer;
    Administration(const ClusterOptions& options, std::string_view command,
                   Purpose purpose = Purpose::Change);
};

/// What is said of a way out of a loss that was begun (cluster::find_way_out).
std::string describe_way_out(std::string_view way);

/// The node of that name. Throws UsageError.
const cluster::Node& get_node(const cluster::State& state, const std::string& name);
/// Whose a certificate of STORE is: the node NAME; without one, the publisher in stores that only he has,
/// else the node COMMON_NAME. Throws UsageError.
const cluster::Node& get_owner(const cluster::State& state, cluster::Store store, const std::string& name,
                               std::string_view common_name = {});
/// The store of that name. Throws UsageError.
cluster::Store get_store(const std::string& name);

}  // namespace ctlsign::cli
