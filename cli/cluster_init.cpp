#include <fmt/format.h>

#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterInitOptions {
    ClusterOptions cluster;
    std::string name = "cluster", release;
    Format format = Format::AsText;
};

ExitCode run(const ClusterInitOptions& options) {
    const auto release = cluster::Release::parse(options.release);
    if (!release)
        throw UsageError(fmt::format("--release {}: give one like 10.5(2) or 14SU3", options.release));
    cluster::Database::create(options.cluster.path, options.name, *release);
    if (options.format == Format::AsJson)
        print_json({{"cluster", options.name}, {"release", release->text()}, {"file", options.cluster.path}});
    else
        print(fmt::format("{}: cluster {}, release {}, non-secure mode, no nodes yet\n", options.cluster.path,
                          options.name, release->text()));
    return ExitCode::Done;
}

}  // namespace

void add_cluster_init(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterInitOptions>();
    Command command = add_command(parent, "init", "Make the file that knows everything about one cluster",
                                  "ctlsign cluster init --name krakow --release '10.5(2)'");
    add_cluster_option(command, options->cluster);
    command.add_option("--name", options->name, "For people (default cluster)").type_name("NAME");
    command.add_option("--release", options->release, "Of the Unified CM: 10.5(2), 12.5(1)SU3, 14SU3")
        .type_name("RELEASE")
        .required();
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
