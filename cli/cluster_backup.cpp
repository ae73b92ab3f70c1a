#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/backup.hpp>

namespace ctlsign::cli {

namespace {

struct Options {
    ClusterOptions cluster;
    std::string file;
    Answer answer = Answer::Ask;
    Format format = Format::AsText;
};

void report(const Options& options, std::string_view name) {
    if (options.format == Format::AsJson)
        print_json({{"cluster", name}, {"file", options.cluster.path}, {"backup", options.file}});
}

ExitCode save(const Options& options) {
    const Administration administration(options.cluster, "cluster backup");
    backup(administration.database, options.file);
    report(options, administration.database.load().name);
    return ExitCode::Done;
}

ExitCode restore(const Options& options) {
    const auto backup = cluster::Backup::load(options.file);
    if (std::filesystem::exists(options.cluster.path)) {
        Administration administration(options.cluster, "cluster restore");
        confirm(fmt::format("Replace what is known of {} by the backup of {}? (y/n):",
                            administration.database.load().name, backup.name()),
                options.answer);
        cluster::backup_before_change(administration.database);
        backup.restore_into(administration.writer);
    } else {
        backup.restore_as(options.cluster.path);
    }
    report(options, backup.name());
    print_note("the nodes serve what they served before: compare with ctlsign cluster status");
    return ExitCode::Done;
}

}  // namespace

void add_cluster_backup(CLI::App& parent, Action& action) {
    const auto saving = std::make_shared<Options>();
    CLI::App& save_command =
        add_command(parent, "backup", "Write the whole trust state into one file, without private keys",
                    "ctlsign cluster backup -o krakow.backup");
    add_cluster_option(save_command, saving->cluster);
    save_command.add_option("-o,--output", saving->file, "The file to write")->type_name("FILE")->required();
    add_json_flag(save_command, saving->format);
    save_command.callback([&action, saving] { action = [saving] { return save(*saving); }; });

    const auto restoring = std::make_shared<Options>();
    CLI::App& restore_command =
        add_command(parent, "restore", "Take the trust state from a backup; the nodes stay as they are",
                    "ctlsign cluster restore krakow.backup");
    add_cluster_option(restore_command, restoring->cluster);
    restore_command.add_option("FILE", restoring->file, "The backup")->required();
    add_yes_flag(restore_command, restoring->answer);
    add_json_flag(restore_command, restoring->format);
    restore_command.callback([&action, restoring] { action = [restoring] { return restore(*restoring); }; });
}

}  // namespace ctlsign::cli
