#include <filesystem>
#include <memory>

#include <cli/fleet.hpp>
#include <cli/input.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/cluster/phones.hpp>
#include <ctlsign/trustlist/decode.hpp>

namespace ctlsign::cli {

namespace {

constexpr const char* kInventory = "phones.csv";
constexpr const char* kCluster = "cluster.db";

}  // namespace

void add_known_option(Command command, std::vector<std::string>& paths) {
    command
        .add_option("--known", paths,
                    "A CTL or ITL that phones may have, found by its checksum; again for each")
        .type_name("FILE")
        .one_value();
}

void add_fleet_options(Command command, FleetOptions& options) {
    command
        .add_option("--phones", options.phones,
                    "The inventory, to say which phones will take the CTL (default: phones.csv beside the "
                    "cluster's file, when it is there)")
        .type_name("FILE");
    add_known_option(command, options.known);
    add_judge_options(command, options.judge);
}

void add_cluster_of_phones_option(Command command, std::string& path) {
    command
        .add_option("--cluster", path,
                    "A cluster's file: phones may have what it has published, and ask its TVS servers "
                    "(default cluster.db, when it is there)")
        .type_name("FILE");
}

Fleet::Fleet(const FleetOptions& options, const cluster::Database* cluster)
    : inventory(load_inventory(options.phones)), models(load_models(options.judge)) {
    for (const std::string& path : options.known)
        known.add(std::make_shared<const TrustList>(load_list(path)), path);
    if (cluster != nullptr) add_published(known, *cluster, inventory);
    if (inventory.phones().empty()) print_warning(options.phones + ": no phone is in it");
}

phone::Preflight Fleet::preflight(const JudgeOptions& options, const TrustList& list, phone::ListKind kind,
                                  const cluster::State* cluster, Publisher publisher) const {
    return phone::preflight(inventory, list, kind, known, models,
                            load_tvs(options, list, kind, cluster, publisher), now());
}

std::size_t Fleet::count_sha1_only() const {
    std::vector<std::size_t> phones(inventory.traits().size());
    for (const phone::Inventory::Phone& phone : inventory.phones()) ++phones[phone.traits];
    std::size_t count = 0;
    for (std::size_t index = 0; index < phones.size(); ++index) {
        const phone::Traits& traits = inventory.traits()[index];
        if (models.find(traits.model, traits.firmware).sha1_only) count += phones[index];
    }
    return count;
}

TrustList as_planned(const ListDraft& list) {
    return decode_unsigned_list(encode(list).octets);
}

std::optional<Fleet> find_fleet(const FleetOptions& options, const cluster::Database& cluster) {
    if (!options.phones.empty()) return Fleet(options, &cluster);
    FleetOptions found = options;
    found.phones = (std::filesystem::path(cluster.path()).parent_path() / kInventory).string();
    if (!std::filesystem::exists(found.phones)) return std::nullopt;
    return Fleet(found, &cluster);
}

std::optional<cluster::Database> find_cluster(const std::string& option) {
    if (option.empty() && !std::filesystem::exists(kCluster)) return std::nullopt;
    return cluster::Database::open_to_read(option.empty() ? kCluster : option);
}

}  // namespace ctlsign::cli
