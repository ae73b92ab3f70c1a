#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/token_access.hpp>
#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/meeting_place.hpp>
#include <ctlsign/cluster/migration.hpp>
#include <ctlsign/cluster/ssh_session.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/limits.hpp>
#include <pkcs11/digest.hpp>

namespace ctlsign::cli {

namespace {

constexpr std::string_view kSuffix = ".p12";
constexpr std::string_view kConsolidated = "consolidated.p12";

struct ClusterMigrationOptions {
    ClusterOptions cluster;
    TokenOptions passphrase;
    std::string place;
    cluster::SshTrust trust;
    Answer answer = Answer::Ask;
    Force force = Force::No;
    Format format = Format::AsText;
};

std::string fingerprint(const sast::Certificate& certificate) {
    const std::array<ByteView, 1> parts{certificate.der()};
    return to_hex(compute_digest(Digest::Sha256, parts), ":");
}

Json to_json(const std::vector<cluster::Introduction>& introductions) {
    Json json = Json::array();
    for (const auto& each : introductions)
        json.push_back({{"cluster", each.cluster},
                        {"store", to_text(each.store)},
                        {"subject", each.certificate.subject_text()},
                        {"serial", to_hex(each.certificate.serial())},
                        {"sha256", fingerprint(each.certificate)}});
    return json;
}

std::string to_lines(const std::vector<cluster::Introduction>& introductions) {
    std::string text;
    for (const auto& each : introductions)
        text += fmt::format("{} of {}: {}\n  SHA256 {}\n", to_text(each.store), each.cluster,
                            each.certificate.subject_text(), fingerprint(each.certificate));
    return text;
}

// Asked for only where a source is named: without one, people compare fingerprints.
pkcs11::Pin ask_passphrase(const ClusterMigrationOptions& options) {
    if (!options.passphrase.pin_source) return {};
    sast::PinRequest request;
    request.kind = sast::PinRequest::Kind::Passphrase;
    request.subject = options.place;
    return make_pins(options.passphrase, std::nullopt)->ask(request);
}

void report(const ClusterMigrationOptions& options, const std::string& file,
            const std::vector<cluster::Introduction>& introductions) {
    if (options.format == Format::AsJson)
        print_json({{"file", file}, {"certificates", to_json(introductions)}});
    else
        print(fmt::format("{}:\n{}", file, to_lines(introductions)));
}

// A file of that name which another cluster has written is not to be lost.
void require_ours(const ClusterMigrationOptions& options, const cluster::State& state,
                  const std::string& file, const Bytes& octets, const pkcs11::Pin& passphrase) {
    std::vector<cluster::Introduction> there;
    try {
        there = cluster::decode_introductions(octets, passphrase.reveal_secret(), file);
    } catch (const Error& error) {
        print_note(error.what());
    }
    if (!is_shown_by(state, there))
        throw UsageError(fmt::format(
            "{0} is in {1} already, and nothing says that this cluster has written it: if another one has, "
            "two must not have the same name (cluster init --name); if it is an old one of this cluster, "
            "remove it",
            file, options.place));
}

ExitCode run_export(const ClusterMigrationOptions& options) {
    Administration administration(options.cluster, "cluster export");
    const cluster::State state = administration.database.load();
    const std::string file = state.name + std::string(kSuffix);
    if (state.name.find('/') != std::string::npos || state.name.starts_with('.') || file == kConsolidated)
        throw UsageError(fmt::format("the cluster's name {} is none for a file: it was given by cluster init",
                                     state.name));
    auto shown = introduce(state);
    if (const auto* refusal = std::get_if<cluster::Refusal>(&shown)) refuse(*refusal);
    const auto& introductions = std::get<std::vector<cluster::Introduction>>(shown);
    const pkcs11::Pin passphrase = ask_passphrase(options);
    const auto place = cluster::open_meeting_place(options.place, options.trust);
    if (const auto octets = place->load(file)) require_ours(options, state, file, *octets, passphrase);
    place->store(file, cluster::encode_introductions(introductions, passphrase.reveal_secret()));
    append_audit(administration.writer, "exported", {{"place", options.place}, {"file", file}});
    report(options, file, introductions);
    if (const auto note = note_tokens(state)) print_warning(*note);
    return ExitCode::Done;
}

ExitCode run_consolidate(const ClusterMigrationOptions& options) {
    const pkcs11::Pin passphrase = ask_passphrase(options);
    const auto place = cluster::open_meeting_place(options.place, options.trust);
    std::vector<cluster::Introduction> all;
    std::size_t clusters = 0;
    for (const std::string& name : place->list()) {
        if (!name.ends_with(kSuffix) || name == kConsolidated) continue;
        const auto octets = place->load(name);
        if (!octets) continue;
        auto found = cluster::decode_introductions(*octets, passphrase.reveal_secret(), name);
        std::ranges::move(found, std::back_inserter(all));
        ++clusters;
    }
    if (clusters < 2)
        throw UsageError(
            fmt::format("{} of the clusters has exported to {}, two or more are needed: "
                        "consolidate once all have",
                        clusters == 0 ? "none" : "one", options.place));
    const std::string file(kConsolidated);
    place->store(file, cluster::encode_introductions(all, passphrase.reveal_secret()));
    report(options, file, all);
    return ExitCode::Done;
}

// A file is what one cluster has exported, carried by hand; a place holds what all have.
Bytes load_introductions(const ClusterMigrationOptions& options) {
    if (std::filesystem::is_regular_file(options.place))
        return load_file(options.place, limits::kIntroductions).bytes;
    const auto octets =
        cluster::open_meeting_place(options.place, options.trust)->load(std::string(kConsolidated));
    if (!octets)
        throw UsageError(
            fmt::format("there is no {} in {}: run ctlsign cluster consolidate when every "
                        "cluster has exported",
                        kConsolidated, options.place));
    return *octets;
}

ExitCode run_import(const ClusterMigrationOptions& options) {
    const pkcs11::Pin passphrase = ask_passphrase(options);
    const Bytes octets = load_introductions(options);
    Administration administration(options.cluster, "cluster import");
    const cluster::State state = administration.database.load();
    const auto introductions =
        cluster::decode_introductions(octets, passphrase.reveal_secret(), options.place);
    const auto foreign = select_foreign(state, introductions);
    if (foreign.empty())
        throw NotValid(fmt::format("{} holds nothing of another cluster than {}", options.place, state.name));
    std::vector<cluster::Refusal> refusals;
    if (auto refusal = check_migration(state)) refusals.push_back(std::move(*refusal));
    require_allowed(refusals, options.force);
    const auto journey =
        shows_all_of(state, introductions) ? cluster::Journey::BothWays : cluster::Journey::OneWay;
    const auto steps = migration_steps(state, foreign, journey);
    if (journey == cluster::Journey::OneWay) print_warning(steps.back());
    if (const auto note = note_tokens(state); note && journey == cluster::Journey::BothWays)
        print_warning(*note);
    if (options.format == Format::AsText) print(to_lines(foreign));
    confirm("Let phones of this cluster trust the lists that these sign? (y/n):", options.answer);
    cluster::backup_before_change(administration.database);
    append_forced(administration.writer, "import", refusals);
    const std::size_t added = import_introductions(administration.writer, foreign);
    if (options.format == Format::AsJson)
        print_json({{"new", added}, {"certificates", to_json(foreign)}, {"next", steps}});
    else
        print(fmt::format("{} of them new\n{}\n", added, fmt::join(steps, "\n")));
    return ExitCode::Done;
}

void add_place(Command command, ClusterMigrationOptions& options, const std::string& description) {
    command.add_option("PLACE", options.place, description).required();
    command.add_option("--host-key", options.trust.host_key, "Of an SSH server: SHA256:...").type_name("KEY");
    command
        .add_option("--identity", options.trust.identity,
                    "A private key to log in with; default: those of the SSH agent")
        .type_name("FILE");
    command
        .add_option("--pin-source", options.passphrase.pin_source,
                    "A passphrase that keeps the file from being changed: prompt, env:NAME, file:PATH or "
                    "fd:N; default: none, compare the fingerprints")
        .type_name("SOURCE");
    add_json_flag(command, options.format);
}

}  // namespace

void add_cluster_migration(Command parent, Action& action) {
    const std::string meeting =
        "A folder, or sftp://USER@HOST/FOLDER, where clusters leave files for each other";

    const auto exporting = std::make_shared<ClusterMigrationOptions>();
    Command export_command = add_command(
        parent, "export", "Before phones move: show this cluster's certificates to others, as PKCS#12",
        "ctlsign cluster export /mnt/meeting");
    add_cluster_option(export_command, exporting->cluster);
    add_place(export_command, *exporting, meeting);
    export_command.callback(
        [&action, exporting] { action = [exporting] { return run_export(*exporting); }; });

    const auto consolidating = std::make_shared<ClusterMigrationOptions>();
    Command consolidate_command =
        add_command(parent, "consolidate", "Put what every cluster has exported into one PKCS#12 file, once",
                    "ctlsign cluster consolidate /mnt/meeting");
    add_place(consolidate_command, *consolidating, meeting);
    consolidate_command.callback(
        [&action, consolidating] { action = [consolidating] { return run_consolidate(*consolidating); }; });

    const auto importing = std::make_shared<ClusterMigrationOptions>();
    Command import_command = add_command(
        parent, "import", "Let phones of this cluster trust the others, so that they may move there",
        "ctlsign cluster import /mnt/meeting");
    add_cluster_option(import_command, importing->cluster);
    add_place(import_command, *importing,
              meeting + "; or one cluster's exported file, carried by hand: phones may go, not come back");
    add_yes_flag(import_command, importing->answer);
    add_force_flag(import_command, importing->force);
    import_command.callback(
        [&action, importing] { action = [importing] { return run_import(*importing); }; });
}

}  // namespace ctlsign::cli
