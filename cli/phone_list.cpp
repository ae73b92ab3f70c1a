#include <fmt/format.h>

#include <iterator>
#include <map>
#include <memory>

#include <cli/fleet.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct PhoneListOptions {
    FleetOptions fleet{"phones.csv", {}, {}};
    std::string cluster;
    Format format = Format::AsText;
};

// The list's file when it is known, else what the phone shows.
std::string list_name(const phone::KnownLists& known, const std::string& checksum) {
    if (checksum.empty()) return "none";
    const auto* entry = known.find(checksum);
    return entry == nullptr ? checksum : entry->name;
}

ExitCode run(const PhoneListOptions& options) {
    const auto cluster = find_cluster(options.cluster);
    const Fleet fleet(options.fleet, cluster ? &*cluster : nullptr);
    Json json{{"phones", Json::array()}};
    std::string text;
    for (const auto& one : fleet.inventory.phones()) {
        const phone::Traits& traits = fleet.inventory.traits_of(one);
        const bool listed = fleet.models.find(traits.model, traits.firmware).listed;
        const std::string ctl = list_name(fleet.known, traits.ctl), itl = list_name(fleet.known, traits.itl);
        if (options.format == Format::AsJson) {
            json["phones"].push_back({{"device", one.name},
                                      {"model", traits.model},
                                      {"model-known", listed},
                                      {"firmware", traits.firmware},
                                      {"ctl", ctl},
                                      {"itl", itl},
                                      {"pool", traits.pool}});
        } else {
            fmt::format_to(std::back_inserter(text), "{}  {}{}  {}  CTL {}  ITL {}  {}\n",
                           printable(one.name), printable(traits.model), listed ? "" : " (model not known)",
                           printable(traits.firmware), ctl, itl, printable(traits.pool));
        }
    }
    if (options.format == Format::AsJson) {
        print_json(json);
    } else {
        print(text + fmt::format("{} phones\n", fleet.inventory.phones().size()));
    }
    return ExitCode::Done;
}

}  // namespace

void add_phone_list(Command parent, Action& action) {
    const auto options = std::make_shared<PhoneListOptions>();
    Command command = add_command(parent, "list", "The phones of the inventory, and the lists that they have",
                                  "ctlsign phone list --known CTLFile.tlv");
    add_inventory_option(command, options->fleet.phones);
    add_known_option(command, options->fleet.known);
    command.add_option("--models", options->fleet.judge.models, "More rows of models").type_name("FILE");
    add_cluster_of_phones_option(command, options->cluster);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
