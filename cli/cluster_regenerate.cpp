#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_regenerate.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/token_report.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/install.hpp>
#include <ctlsign/cluster/regenerate.hpp>
#include <ctlsign/cluster/services.hpp>
#include <pkcs11/private_files.hpp>
#include <pkcs11/store.hpp>
#include <sast/subject.hpp>

namespace ctlsign::cli {

namespace {

constexpr std::int64_t kDay = 86400;

Bytes subject_of(const RegenerateOptions& options, const cluster::State& state, cluster::Store store,
                 const cluster::Node& node) {
    if (!options.subject.empty()) return sast::encode_subject(options.subject);
    const cluster::StoredCertificate* old = state.find_own(store, node);
    if (old == nullptr)
        throw UsageError(
            fmt::format("{} has no {} certificate yet: name its --subject", node.name, to_text(store)));
    return cluster::regenerated_subject(store, old->certificate);
}

// Beside the cluster's file unless another place is named.
std::filesystem::path key_path(const RegenerateOptions& options, cluster::Store store,
                               const cluster::Node& node, const sast::Certificate& certificate) {
    if (!options.key.empty()) return std::filesystem::absolute(options.key).lexically_normal();
    return std::filesystem::absolute(options.cluster.path + ".keys") /
           fmt::format("{}-{}-{}.pem", to_text(store), node.name, to_hex(certificate.serial()));
}

void make_folder_of(const std::filesystem::path& key) {
    make_private_folder(key.parent_path());
    remove_unfinished(key.parent_path().string());
}

}  // namespace

Json perform_regeneration(Administration& administration, const RegenerateOptions& options) {
    const cluster::Store store = get_store(options.store);
    const cluster::State state = administration.database.load();
    const cluster::Node& node = get_owner(state, store, options.node);
    const auto refusals = check_anchors(state, store, node);
    require_allowed(refusals, options.force);

    const std::int64_t begin = unix_now();
    const cluster::NewCertificate fresh({subject_of(options, state, store, node), options.bits, begin,
                                         begin + static_cast<std::int64_t>(options.days) * kDay});
    const std::filesystem::path key = key_path(options, store, node, fresh.certificate());
    cluster::require_free(key);
    const auto notes = announce(state, store, node, fresh.certificate());
    for (const std::string& note : notes) print_note(note);
    const std::vector<std::string> messages{
        fmt::format(
            "WARNING: This operation will overwrite any CA signed certificate previously imported for {}",
            to_text(store)),
        fmt::format("Successfully Regenerated Certificate for {}.", to_text(store)),
        fmt::format(
            "You must restart services related to {} for the regenerated certificates to become active.",
            to_text(store))};
    const bool json = options.format == Format::AsJson;
    if (!json) print(messages[0] + "\n");
    confirm("Proceed with regeneration (yes|no)?", options.answer);
    cluster::backup_before_change(administration.database);
    if (options.key.empty()) make_folder_of(key);
    install(administration.writer, store, node, fresh, key, refusals);

    std::vector<std::string> restarts;
    for (const auto& restart : list_restarts(administration.database))
        if (restart.node == node.name) restarts.emplace_back(to_text(restart.service));
    if (!json) {
        print(fmt::format("{}\n{}\n", messages[1], messages[2]));
        if (!restarts.empty())
            print(fmt::format("restart on {}: {}\n", node.name, fmt::join(restarts, ", ")));
    }
    return {{"store", to_text(store)},
            {"node", node.name},
            {"subject", fresh.certificate().subject_text()},
            {"serial", to_hex(fresh.certificate().serial())},
            {"not-after", date_text(fresh.certificate().not_after())},
            {"key", key.string()},
            {"messages", messages},
            {"notes", notes},
            {"restart", restarts}};
}

namespace {

ExitCode run(const RegenerateOptions& options) {
    const cluster::Store store = get_store(options.store);
    if (!is_own(store))
        throw UsageError(fmt::format("{} is a trust store: its certificates are deleted, not regenerated",
                                     to_text(store)));
    check_bits(options.bits);
    Administration administration(options.cluster, "cluster certificate regenerate");
    const Json report = perform_regeneration(administration, options);
    if (options.format == Format::AsJson) print_json(report);
    return ExitCode::Done;
}

}  // namespace

void add_cluster_regenerate(Command parent, Action& action) {
    const auto options = std::make_shared<RegenerateOptions>();
    Command command =
        add_command(parent, "regenerate", "Make a new key and a self-signed certificate for a server",
                    "ctlsign cluster certificate regenerate --store CAPF");
    add_cluster_option(command, options->cluster);
    command.add_option("--store", options->store, "CallManager, CAPF, TVS, ITLRecovery, tomcat or ipsec")
        .type_name("STORE")
        .required();
    command.add_option("--node", options->node, "Whose (default for CAPF and ITLRecovery: the publisher's)")
        .type_name("NAME");
    command.add_option("--subject", options->subject, "CN=...,OU=... (default: as it was)")
        .type_name("SUBJECT");
    command.add_option("--bits", options->bits, "1024, 2048 (default) or 4096").type_name("BITS");
    command.add_option("--days", options->days, "How long it is valid (default: five years)")
        .type_name("DAYS")
        .within(1U, 36500U);
    command.add_option("--key", options->key, "Where to write the private key (default: cluster.db.keys/)")
        .type_name("FILE");
    add_yes_flag(command, options->answer);
    add_force_flag(command, options->force);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
