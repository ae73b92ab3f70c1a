#include <fmt/format.h>

#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/parameters.hpp>
#include <ctlsign/cluster/workflow.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterReleaseOptions {
    ClusterOptions cluster;
    std::string release;
    Answer answer = Answer::Ask;
    Format format = Format::AsText;
};

ExitCode run(const ClusterReleaseOptions& options) {
    const auto release = cluster::Release::parse(options.release);
    if (!release) throw UsageError(fmt::format("{}: give a release like 10.5(2) or 14SU3", options.release));
    Administration administration(options.cluster, "cluster release");
    const cluster::State state = administration.database.load();
    const auto notes = plan_release(state, *release);
    for (const std::string& note : notes) print_warning(note);
    if (!notes.empty()) confirm(fmt::format("Go to release {}? (y/n):", release->text()), options.answer);
    cluster::backup_before_change(administration.database);
    set_release(administration.writer, *release);
    if (options.format == Format::AsJson)
        print_json({{"release", release->text()}, {"before", state.release.text()}, {"notes", notes}});
    else
        print(fmt::format("release {}, before {}\n", release->text(), state.release.text()));
    return ExitCode::Done;
}

}  // namespace

void add_cluster_release(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterReleaseOptions>();
    Command command =
        add_command(parent, "release", "Note that the cluster has another release, upgraded or downgraded",
                    "ctlsign cluster release '11.5(1)'");
    add_cluster_option(command, options->cluster);
    command.add_option("RELEASE", options->release, "10.5(2), 12.5(1)SU3, 14SU3").required();
    add_yes_flag(command, options->answer);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
