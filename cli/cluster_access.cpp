#include <fmt/format.h>

#include <cli/cluster_access.hpp>
#include <cli/exit_code.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

constexpr std::chrono::seconds kPatience{10};

void end_unfinished(cluster::Writer& writer, Purpose purpose) {
    const auto unfinished = cluster::find_unfinished(writer.database());
    if (!unfinished) return;
    const std::string told = fmt::format("{} of {} was ended in the middle", unfinished->operation,
                                         format_utc(unfinished->started));
    if (purpose == Purpose::Rehearse)
        throw Error(Errc::Unfinished, "a dry run", writer.database().path(),
                    told + ": the next command that changes the cluster finishes or undoes it");
    print_note(told);
    const bool finished = cluster::resume(writer) == cluster::Resumed::Finished;
    if (unfinished->kind == cluster::Unfinished::Kind::Key)
        print_note(finished ? "it is finished now: the new certificate stands"
                            : "it is undone now: the certificate of before stands");
    else
        print_note(finished ? "it is finished now: every node serves the new CTL"
                            : "it is undone now: every node serves what it served before");
}

void tell_way_out(const cluster::Database& database) {
    if (const auto way = cluster::find_way_out(database)) print_note(describe_way_out(*way));
}

}  // namespace

std::string describe_way_out(std::string_view way) {
    return fmt::format("recover --way {0} was ended in the middle: ctlsign cluster recover --way {0} goes on",
                       way);
}

void add_cluster_option(Command command, ClusterOptions& options) {
    command.add_option("--cluster", options.path, "The cluster's file (default cluster.db)")
        .type_name("FILE");
}

void add_yes_flag(Command command, Answer& answer) {
    command.add_flag_callback(
        "--yes", [&answer] { answer = Answer::Yes; }, "Answer the question with yes");
}

void add_force_flag(Command command, Force& force) {
    command.add_flag_callback(
        "--force", [&force] { force = Force::Yes; },
        "Go on where a rule refuses and can be forced; what will happen is told, and remembered by the "
        "audit");
}

void require_possible(const std::vector<cluster::Refusal>& refusals, Force force) {
    for (const cluster::Refusal& refusal : refusals)
        if (!refusal.consequence || force == Force::No) refuse(refusal);
}

void require_allowed(const std::vector<cluster::Refusal>& refusals, Force force) {
    require_possible(refusals, force);
    for (const cluster::Refusal& refusal : refusals)
        print_warning(fmt::format("rule {} is forced: {}", to_text(refusal.rule), *refusal.consequence));
}

Administration::Administration(const ClusterOptions& options, std::string_view command, Purpose purpose)
    : database(cluster::Database::open(options.path)), writer(database, command, kPatience) {
    end_unfinished(writer, purpose);
    tell_way_out(database);
}

const cluster::Node& get_node(const cluster::State& state, const std::string& name) {
    const cluster::Node* node = state.find_node(name);
    if (node == nullptr)
        throw UsageError(fmt::format("there is no node {}: see ctlsign cluster node list", name));
    return *node;
}

const cluster::Node& get_owner(const cluster::State& state, cluster::Store store, const std::string& name,
                               std::string_view common_name) {
    if (!name.empty()) return get_node(state, name);
    const bool publisher_only = store == cluster::Store::Capf || store == cluster::Store::ItlRecovery;
    const cluster::Node* node = publisher_only ? state.publisher() : state.find_node(common_name);
    if (node == nullptr)
        throw UsageError(fmt::format("{}say whose certificate it is with --node",
                                     publisher_only || common_name.empty()
                                         ? ""
                                         : fmt::format("no node is called {}: ", printable(common_name))));
    return *node;
}

cluster::Store get_store(const std::string& name) {
    const auto store = cluster::find_store(name);
    if (!store)
        throw UsageError(
            fmt::format("there is no store {}: CallManager, CAPF, TVS, ITLRecovery, tomcat, ipsec, "
                        "CallManager-trust, Phone-SAST-trust, CAPF-trust, tomcat-trust, ipsec-trust, "
                        "phone-trust, phone-ctl-trust, phone-vpn-trust",
                        name));
    return *store;
}

}  // namespace ctlsign::cli
