#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/expiry_report.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/token_report.hpp>

namespace ctlsign::cli {

namespace {

struct ClusterExpiryOptions {
    ClusterOptions cluster;
    std::string time;
    bool all = false;
    Format format = Format::AsText;
};

// What is renewed at once would leave phones nothing to check the next list with.
std::string order(const cluster::Release& release) {
    return fmt::format(
        "one certificate at a time, one server after the other: make the new one, run ctlsign cluster update "
        "in mixed mode{}, restart the services, reset the phones, run ctlsign cluster restarted, then go on "
        "to the next",
        release.signs_with_itl_recovery()
            ? " (after ITLRecovery ctlsign cluster reset-localkey, where no token signs, and ctlsign cluster "
              "update once phones hold that CTL)"
            : "");
}

ExitCode run(const ClusterExpiryOptions& options) {
    const std::int64_t time = choose_timestamp(options.time, std::nullopt);
    const cluster::State state = cluster::Database::open_to_read(options.cluster.path).load();
    Json json{{"time", date_text(time)}, {"certificates", Json::array()}};
    std::string text;
    bool renewals = false;
    auto worst = cluster::Urgency::Fine;
    for (const cluster::Expiry& expiry : list_expiries(state, time)) {
        worst = std::max(worst, expiry.urgency);
        if (expiry.urgency == cluster::Urgency::Fine && !options.all) continue;
        json["certificates"].push_back(expiry_json(expiry));
        text += expiry_line(expiry);
        renewals = renewals || !expiry.renewal.empty();
    }
    json["urgency"] = to_text(worst);
    if (renewals) {
        json["order"] = order(state.release);
        text += order(state.release) + "\n";
    }
    options.format == Format::AsJson ? print_json(json) : print(text);
    return worst == cluster::Urgency::Fine ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_cluster_expiry(Command parent, Action& action) {
    const auto options = std::make_shared<ClusterExpiryOptions>();
    Command command =
        add_command(parent, "expiry",
                    "Certificates that expire: a warning from thirty days, an alarm from seven. Exit 0: none",
                    "ctlsign cluster expiry --at 2027-01-01T00:00:00Z");
    add_cluster_option(command, options->cluster);
    command.add_option("--at", options->time, "As it will be at that time; default: now").type_name("TIME");
    command.add_flag("--all", options->all, "Those that are fine too");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
