#pragma once

#include <optional>
#include <string>
#include <vector>

#include <cli/command.hpp>
#include <cli/phone.hpp>
#include <ctlsign/cluster/database.hpp>
#include <ctlsign/phone/preflight.hpp>
#include <ctlsign/trustlist/encode.hpp>

namespace ctlsign::cli {

/// --phones, --known, --models, --tvs.
struct FleetOptions {
    std::string phones;
    std::vector<std::string> known;
    JudgeOptions judge;
};
void add_known_option(Command command, std::vector<std::string>& paths);
/// The four, for a command that changes a cluster.
void add_fleet_options(Command command, FleetOptions& options);

/// An inventory of phones, and the lists that they may hold: those of --known, and those that CLUSTER has
/// published, unless it is null.
struct Fleet {
    Fleet(const FleetOptions& options, const cluster::Database* cluster);

    phone::Inventory inventory;
    phone::KnownLists known;
    phone::ModelTable models;

    /// What becomes of them when PUBLISHER publishes LIST; they ask the TVS servers of CLUSTER, of which
    /// nothing is known where it is null.
    phone::Preflight preflight(const JudgeOptions& options, const TrustList& list, phone::ListKind kind,
                               const cluster::State* cluster,
                               Publisher publisher = Publisher::ThatCluster) const;
    /// Phones that can check no digest but SHA-1.
    std::size_t count_sha1_only() const;
};

/// LIST as it will be, but for its signature.
TrustList as_planned(const ListDraft& list);

/// The phones of CLUSTER: those of --phones, else of the file phones.csv beside it; nothing without either.
std::optional<Fleet> find_fleet(const FleetOptions& options, const cluster::Database& cluster);

/// The file of a cluster as `phone` commands take it: OPTION, else cluster.db where that is; nothing without
/// either.
std::optional<cluster::Database> find_cluster(const std::string& option);
void add_cluster_of_phones_option(Command command, std::string& path);

}  // namespace ctlsign::cli
