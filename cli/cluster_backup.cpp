#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/token_access.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/files/load.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterBackupOptions {
    ClusterOptions cluster;
    std::string file, key_folder;
    bool keys = false;
    TokenOptions passphrase;
    Answer answer = Answer::Ask;
    Format format = Format::AsText;
};

void report(const ClusterBackupOptions& options, std::string_view name) {
    if (options.format == Format::AsJson)
        print_json({{"cluster", name}, {"file", options.cluster.path}, {"backup", options.file}});
}

pkcs11::Pin ask_passphrase(const ClusterBackupOptions& options) {
    sast::PinRequest request;
    request.kind = sast::PinRequest::Kind::Passphrase;
    request.subject = options.file;
    return make_pins(options.passphrase, std::nullopt)->ask(request);
}

// Typed wrong, it would be found out on the day when the keys are needed.
pkcs11::Pin ask_new_passphrase(const ClusterBackupOptions& options) {
    pkcs11::Pin passphrase = ask_passphrase(options);
    const bool typed = !options.passphrase.pin_source || *options.passphrase.pin_source == "prompt";
    if (typed && ask_passphrase(options).reveal_secret() != passphrase.reveal_secret())
        throw UsageError("the passphrases differ: nothing was written");
    return passphrase;
}

ExitCode save(const ClusterBackupOptions& options) {
    if (same_file(options.file, options.cluster.path))
        throw UsageError(fmt::format("{} is the cluster: its backup must be another file", options.file));
    cluster::Database database = cluster::Database::open(options.cluster.path);
    // What was under way is left as it is: what can no longer be ended may be why a backup is taken.
    const cluster::Writer writer(database, "cluster backup", std::chrono::seconds(10));
    if (options.keys)
        backup_with_keys(database, options.file, ask_new_passphrase(options));
    else
        backup(database, options.file);
    report(options, database.load().name);
    return ExitCode::Done;
}

ExitCode restore(const ClusterBackupOptions& options) {
    auto backup = cluster::Backup::load(options.file);
    const auto restore_keys = [&] {
        if (!options.key_folder.empty()) backup.restore_keys(options.key_folder, ask_passphrase(options));
    };
    const std::string& path = options.cluster.path;
    if (!std::filesystem::exists(path)) {
        restore_keys();
        backup.restore_as(path);
    } else if (const auto damage = cluster::find_damage(path)) {
        print_note(*damage);
        confirm(fmt::format("Put {} aside, and begin with the backup of {}? (y/n):", path, backup.name()),
                options.answer);
        restore_keys();
        print_note(fmt::format("what was there is kept as {}", backup.restore_instead(path)));
    } else {
        Administration administration(options.cluster, "cluster restore");
        confirm(fmt::format("Replace what is known of {} by the backup of {}? (y/n):",
                            administration.database.load().name, backup.name()),
                options.answer);
        restore_keys();
        cluster::backup_before_change(administration.database);
        backup.restore_into(administration.writer);
    }
    report(options, backup.name());
    print_note("the nodes serve what they served before: compare with ctlsign cluster status");
    return ExitCode::Done;
}

void add_passphrase_option(Command command, ClusterBackupOptions& options) {
    command
        .add_option("--pin-source", options.passphrase.pin_source,
                    "Where the passphrase of the keys comes from: prompt, env:NAME, file:PATH or fd:N; "
                    "default: prompt")
        .type_name("SOURCE");
}

}  // namespace

void add_cluster_backup(Command parent, Action& action) {
    const auto saving = std::make_shared<ClusterBackupOptions>();
    Command save_command = add_command(
        parent, "backup", "Write the whole trust state into one file; private keys only with --keys",
        "ctlsign cluster backup -o krakow.backup");
    add_cluster_option(save_command, saving->cluster);
    save_command.add_option("-o,--output", saving->file, "The file to write").type_name("FILE").required();
    save_command.add_flag("--keys", saving->keys,
                          "With the files of private keys that the stores name, encrypted with a passphrase");
    add_passphrase_option(save_command, *saving);
    add_json_flag(save_command, saving->format);
    save_command.callback([&action, saving] { action = [saving] { return save(*saving); }; });

    const auto restoring = std::make_shared<ClusterBackupOptions>();
    Command restore_command =
        add_command(parent, "restore", "Take the trust state from a backup; the nodes stay as they are",
                    "ctlsign cluster restore krakow.backup");
    add_cluster_option(restore_command, restoring->cluster);
    restore_command.add_option("FILE", restoring->file, "The backup").required();
    restore_command
        .add_option("--keys", restoring->key_folder, "Write the private keys of the backup into this folder")
        .type_name("FOLDER");
    add_passphrase_option(restore_command, *restoring);
    add_yes_flag(restore_command, restoring->answer);
    add_json_flag(restore_command, restoring->format);
    restore_command.callback([&action, restoring] { action = [restoring] { return restore(*restoring); }; });
}

}  // namespace ctlsign::cli
