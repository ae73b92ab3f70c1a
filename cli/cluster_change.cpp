#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include <cli/cluster_change.hpp>
#include <cli/input.hpp>
#include <cli/preflight_report.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

constexpr Wording kMixedMode{"This operation sets the cluster to Mixed mode. Do you want to continue? (y/n):",
                             "Moving Cluster to Mixed Mode", "Cluster set to Mixed Mode"};
constexpr Wording kNonSecureMode{
    "This operation will set the cluster to non secure mode. Do you want to continue? (y/n):",
    "Moving Cluster to Non Secure Mode", "Cluster set to Non Secure Mode"};
constexpr Wording kUpdate{"This operation updates the CTLFile. Do you want to continue? (y/n):",
                          "Updating CTL file", "CTL file Updated"};

void complete(cluster::Request& request, const ChangeOptions& options) {
    if (options.way) request.way = options.way;
    if (!options.digest.empty()) request.digest = get_digest(options.digest);
    request.time = choose_timestamp(options.timestamp, std::nullopt);
    request.now = unix_now();
}

// A first CTL has the digest that every phone can check.
void choose_first_digest(cluster::Request& request, const cluster::State& state, const Fleet& fleet) {
    const std::size_t phones = state.last || request.digest ? 0 : fleet.count_sha1_only();
    if (phones == 0) return;
    request.first_digest = Digest::Sha1;
    print_note(fmt::format("the digest is SHA-1: {} phones know no other", phones));
}

Json plan_json(const cluster::Plan& plan) {
    Json json{{"operation", to_text(plan.operation)},
              {"mode", to_text(plan.mode)},
              {"secured-by", to_text(plan.way)}};
    if (plan.signer) json["signer"] = plan.signer->subject_text();
    if (plan.list) {
        json["digest"] = to_text(plan.list->header.digest);
        json["records"] = plan.list->records.size();
        json["timestamp"] = format_utc(plan.list->header.timestamp);
    }
    json["notes"] = plan.notes;
    return json;
}

Json report_dry_run(const cluster::Plan& plan, const std::vector<cluster::ReachedNode>& nodes, Json phones,
                    Format format) {
    const std::size_t length = size_when_signed(plan);
    if (format == Format::AsText)
        print(fmt::format(
            "{}: would be {} octets, {} records, signed by {} with {}, on {} nodes; nothing is changed\n",
            plan.list->header.filename, length, plan.list->records.size(), plan.signer->subject_text(),
            to_text(plan.list->header.digest), nodes.size()));
    Json json = plan_json(plan);
    json["length"] = length;
    json["dry-run"] = true;
    if (!phones.is_null()) json["phones"] = std::move(phones);
    return json;
}

}  // namespace

std::size_t size_when_signed(const cluster::Plan& plan) {
    return signed_size(prepare(*plan.list).octets.size(), plan.list->header.key_bits / 8);
}

void add_change_options(Command command, ChangeOptions& options) {
    add_cluster_option(command, options.cluster);
    add_publisher_argument(command, options.signers);
    add_token_options(command, options.signers.token);
    command
        .add_option(
            "--digest", options.digest,
            "sha1, sha256 or sha512 (default: that of the current CTL, for a first one sha512, or sha1 when "
            "phones know no other)")
        .type_name("DIGEST");
    add_timestamp_option(command, options.timestamp);
    add_fleet_options(command, options.fleet);
    add_yes_flag(command, options.answer);
    add_force_flag(command, options.force);
    command.add_flag("--dry-run", options.dry_run, "Do everything up to the PIN, and change nothing");
    add_json_flag(command, options.format);
}

void add_ways(Command command, ChangeOptions& options) {
    add_token_argument(command, options.signers);
    command
        .add_flag_callback(
            "--tokenless", [&options] { options.way = cluster::Way::Tokenless; },
            "The publisher's key signs, from now on")
        .excludes("--token");
}

const Wording& wording_of(cluster::Operation operation) {
    if (operation == cluster::Operation::MixedMode) return kMixedMode;
    if (operation == cluster::Operation::NonSecureMode) return kNonSecureMode;
    return kUpdate;
}

Purpose purpose_of(const ChangeOptions& options) {
    return options.dry_run ? Purpose::Rehearse : Purpose::Change;
}

Outlook look_ahead(const cluster::Database& database, Outset outset) {
    Outlook outlook{database.load(), {}};
    if (outset == Outset::Now) return outlook;
    outlook.state.deleted = true;
    outlook.nodes = cluster::reach_nodes(outlook.state.nodes);
    for (auto& node : outlook.nodes) node.octets.reset();
    return outlook;
}

cluster::Planned work_out(const cluster::Request& request, Outlook& outlook, Force force) {
    cluster::Planned planned = plan(outlook.state, request);
    if (!planned.plan) require_possible(planned.refusals, Force::No);
    if (outlook.nodes.empty()) outlook.nodes = cluster::reach_nodes(outlook.state.nodes);
    for (auto& refusal : check_nodes(outlook.state, outlook.nodes))
        planned.refusals.push_back(std::move(refusal));
    require_possible(planned.refusals, force);
    return planned;
}

void require_feasible(const cluster::Database& database, const ChangeOptions& options,
                      cluster::Request request, const std::vector<GivenToken>& at_hand, Outset outset) {
    complete(request, options);
    if (request.present.empty()) request.present = certificates_at_hand(at_hand);
    Outlook outlook = look_ahead(database, outset);
    const auto fleet = find_fleet(options.fleet, database);
    if (fleet) choose_first_digest(request, outlook.state, *fleet);
    const cluster::Planned planned = work_out(request, outlook, options.force);
    if (fleet)
        (void)fleet->preflight(options.fleet.judge, as_planned(*planned.plan->list), phone::ListKind::Ctl,
                               &outlook.state);
    const OpenedSigner opened = open_planned_signer(*planned.plan, at_hand, options.signers);
    require_pin_source(*planned.plan, at_hand, opened);
    prepare_nodes(outlook.nodes, Bytes(size_when_signed(*planned.plan)));
}

Json perform_change(Administration& administration, const ChangeOptions& options, cluster::Request request,
                    const Wording& wording, Background background) {
    auto& at_hand = background.at_hand;
    complete(request, options);
    Outlook outlook = look_ahead(administration.database, background.outset);
    const cluster::State& state = outlook.state;
    auto& nodes = outlook.nodes;
    std::vector<GivenToken> tokens;
    for (const std::string& text : options.signers.tokens)
        tokens.push_back(find_given_token(text, options.signers.token));
    if (!tokens.empty()) request.tokens = certificates_of(tokens);
    std::ranges::move(tokens, std::back_inserter(at_hand));
    if (request.present.empty()) request.present = certificates_at_hand(at_hand);

    const auto fleet = find_fleet(options.fleet, administration.database);
    if (fleet) choose_first_digest(request, state, *fleet);

    cluster::Planned planned = work_out(request, outlook, options.force);
    require_allowed(planned.refusals, options.force);
    cluster::Plan& plan = *planned.plan;
    name_tokens(plan, at_hand);
    if (background.amend) background.amend(plan);
    for (const std::string& note : plan.notes) print_note(note);
    Json phones;
    if (fleet) {
        const auto result =
            fleet->preflight(options.fleet.judge, as_planned(*plan.list), phone::ListKind::Ctl, &state);
        phones = preflight_json(fleet->inventory, result, Devices::Counted);
        std::istringstream lines(preflight_text(fleet->inventory, result));
        for (std::string line; std::getline(lines, line);) print_note(line);
    }
    const OpenedSigner opened = open_planned_signer(plan, at_hand, options.signers);
    if (options.dry_run) return report_dry_run(plan, nodes, std::move(phones), options.format);
    confirm(wording.question, options.answer);
    cluster::backup_before_change(administration.database);
    const bool told = options.format == Format::AsText;
    if (told) print(fmt::format("{}\n", wording.beginning));
    const cluster::Carried carried =
        carry_out(administration.writer, plan, opened.signer.get(), nodes, planned.refusals);
    const auto steps = next_steps(plan);
    if (told) print(fmt::format("{}\n{}\n", wording.end, fmt::join(steps, "\n")));
    const Checksums sums = checksums(*carried.octets);
    Json report = plan_json(plan);
    report["length"] = carried.octets->size();
    report["md5"] = sums.md5;
    report["sha1"] = sums.sha1;
    report["nodes"] = nodes.size();
    report["messages"] = {wording.beginning, wording.end};
    report["next"] = steps;
    if (!phones.is_null()) report["phones"] = std::move(phones);
    return report;
}

ExitCode change_cluster(const ChangeOptions& options, cluster::Request request, const Wording& wording,
                        std::vector<GivenToken> at_hand) {
    Administration administration(options.cluster, fmt::format("cluster {}", to_text(request.operation)),
                                  purpose_of(options));
    const Json report =
        perform_change(administration, options, std::move(request), wording, {std::move(at_hand)});
    if (options.format == Format::AsJson) print_json(report);
    return ExitCode::Done;
}

}  // namespace ctlsign::cli
