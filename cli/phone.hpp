#pragma once

#include <memory>
#include <string>
#include <vector>

#include <cli/command.hpp>
#include <ctlsign/cluster/state.hpp>
#include <ctlsign/phone/preflight.hpp>

namespace ctlsign::cli {

/// The subcommands of `phone`, a file each.
void add_phone_import(Command parent, Action& action);
void add_phone_list(Command parent, Action& action);
void add_phone_decide(Command parent, Action& action);
void add_phone_preflight(Command parent, Action& action);
void add_phone_simulate(Command parent, Action& action);

/// --phones: where the inventory is kept.
void add_inventory_option(Command command, std::string& path);
phone::Inventory load_inventory(const std::string& path);

/// --models, --tvs: what phones can do, and whom they ask.
struct JudgeOptions {
    std::string models, tvs;
};
void add_judge_options(Command command, JudgeOptions& options);
phone::ModelTable load_models(const JudgeOptions& options);
/// Who publishes a list: the cluster whose TVS servers are asked, or whoever the list itself says.
enum class Publisher { ThatCluster, AsTheListSays };
/// What the servers of --tvs will say when LIST is published; without --tvs the TVS servers of CLUSTER, and
/// servers of which nothing is known where that is null.
phone::TvsOf load_tvs(const JudgeOptions& options, const TrustList& list, phone::ListKind kind,
                      const cluster::State* cluster, Publisher publisher);

/// What the file name in the header says.
phone::ListKind kind_of(const TrustList& list) noexcept;

}  // namespace ctlsign::cli
