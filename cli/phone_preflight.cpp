#include <fmt/format.h>

#include <memory>

#include <cli/fleet.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/output.hpp>
#include <cli/preflight_page.hpp>
#include <cli/preflight_report.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct PhonePreflightOptions {
    std::string list, html, cluster;
    FleetOptions fleet{"phones.csv", {}, {}};
    Format format = Format::AsText;
};

ExitCode run(const PhonePreflightOptions& options) {
    const auto fresh = std::make_shared<const TrustList>(load_list(options.list));
    const TrustList& list = *fresh;
    const phone::ListKind kind = kind_of(list);
    const auto cluster = find_cluster(options.cluster);
    std::optional<cluster::State> state;
    if (cluster) state = cluster->load();
    Fleet fleet(options.fleet, cluster ? &*cluster : nullptr);
    fleet.known.add(fresh, options.list);  // phones may have it already
    const phone::Preflight result =
        fleet.preflight(options.fleet.judge, list, kind, state ? &*state : nullptr, Publisher::AsTheListSays);
    if (!options.html.empty()) {
        const std::string page = preflight_page(
            {fleet.inventory, result, fleet.known, list, options.list, format_utc(unix_now())});
        open_output(options.html, page.size(), {options.list, options.fleet.phones}).store(as_bytes(page));
    }
    if (options.format == Format::AsJson) {
        Json json{{"list", options.list}};
        json.update(preflight_json(fleet.inventory, result, Devices::Named));
        print_json(json);
    } else {
        print(preflight_text(fleet.inventory, result));
    }
    return result.count(phone::Outcome::Refuses) == 0 ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_phone_preflight(Command parent, Action& action) {
    const auto options = std::make_shared<PhonePreflightOptions>();
    Command command = add_command(
        parent, "preflight", "Which phones would take a new list, and why; exit 1 when any would refuse",
        "ctlsign phone preflight NEW.tlv --known CTLFile.tlv --known ITLFile.tlv --html preflight.html");
    command.add_option("NEW", options->list, "CTL or ITL file; which of them, its header says").required();
    add_inventory_option(command, options->fleet.phones);
    add_known_option(command, options->fleet.known);
    add_judge_options(command, options->fleet.judge);
    add_cluster_of_phones_option(command, options->cluster);
    command.add_option("--html", options->html, "Write a page, too, that needs no network").type_name("FILE");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
