#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <cli/cluster.hpp>
#include <cli/cluster_access.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/token_report.hpp>
#include <ctlsign/cluster/expiry.hpp>

namespace ctlsign::cli {

namespace {

constexpr std::string_view kAlarm =
    "Alarm to indicate that Certificate has Expired or Expires in less than seven days";

struct Options {
    ClusterOptions cluster;
    std::string time;
    bool all = false;
    Format format = Format::AsText;
};

std::string to_line(const cluster::Expiry& expiry) {
    const std::string when = expiry.days < 0 ? fmt::format("expired {} days ago", -expiry.days)
                                             : fmt::format("expires in {} days", expiry.days);
    return fmt::format("{} {}: {}, {} on {}; then {}\n",
                       expiry.urgency == cluster::Urgency::Alarm ? kAlarm : to_text(expiry.urgency),
                       expiry.where, expiry.certificate.subject_text(), when,
                       date_text(expiry.certificate.not_after()), expiry.breaks);
}

ExitCode run(const Options& options) {
    const std::int64_t time = choose_timestamp(options.time, std::nullopt);
    const cluster::State state = cluster::Database::open(options.cluster.path).load();
    Json json{{"time", date_text(time)}, {"certificates", Json::array()}};
    std::string text;
    auto worst = cluster::Urgency::Fine;
    for (const cluster::Expiry& expiry : list_expiries(state, time)) {
        worst = std::max(worst, expiry.urgency);
        if (expiry.urgency == cluster::Urgency::Fine && !options.all) continue;
        Json row{{"where", expiry.where},
                 {"subject", expiry.certificate.subject_text()},
                 {"serial", to_hex(expiry.certificate.serial())},
                 {"not-after", date_text(expiry.certificate.not_after())},
                 {"days", expiry.days},
                 {"urgency", to_text(expiry.urgency)},
                 {"breaks", expiry.breaks}};
        if (expiry.urgency == cluster::Urgency::Alarm) row["text"] = kAlarm;
        json["certificates"].push_back(std::move(row));
        text += to_line(expiry);
    }
    json["urgency"] = to_text(worst);
    options.format == Format::AsJson ? print_json(json) : print(text);
    return worst == cluster::Urgency::Fine ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_cluster_expiry(CLI::App& parent, Action& action) {
    const auto options = std::make_shared<Options>();
    CLI::App& command =
        add_command(parent, "expiry",
                    "Certificates that expire: a warning from thirty days, an alarm from seven. Exit 0: none",
                    "ctlsign cluster expiry --at 2027-01-01T00:00:00Z");
    add_cluster_option(command, options->cluster);
    command.add_option("--at", options->time, "As it will be at that time; default: now")->type_name("TIME");
    command.add_flag("--all", options->all, "Those that are fine too");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
