#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <cli/input.hpp>
#include <cli/phone.hpp>
#include <ctlsign/cluster/phones.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/limits.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/text.hpp>
#include <ctlsign/tvs/certificate_store.hpp>
#include <ctlsign/tvs/database.hpp>
#include <ctlsign/tvs/phone_answer.hpp>
#include <ctlsign/tvs/plan.hpp>

namespace ctlsign::cli {

namespace {

// Paths in a plan are relative to it.
std::string beside(const std::string& plan, const std::string& path) {
    return (std::filesystem::path(plan).parent_path() / path).string();
}

// A record for what a server does, with this certificate.
bool serves_with(const TrustList& list, const sast::Certificate& certificate) {
    return std::ranges::any_of(list.records(), [&](const Record& record) {
        return record.role() && *record.role() != Role::Sast && record.certificate() &&
               equal(*record.certificate(), certificate.der());
    });
}

bool has_role(const tvs::DatabaseEntry& entry, Role role) {
    return std::ranges::find(entry.roles, role) != entry.roles.end();
}

// Whether a CTL is of the cluster whose TVS servers answer from DATABASE: its own CallManager certificates
// are SASTs there and serve, those of other clusters are one of both.
bool is_own_ctl(const TrustList& list, std::span<const tvs::DatabaseEntry> database) {
    return std::ranges::any_of(database, [&](const tvs::DatabaseEntry& entry) {
        return has_role(entry, Role::Sast) && has_role(entry, Role::CcmTftp) &&
               serves_with(list, entry.certificate);
    });
}
bool is_own_ctl(const TrustList& list, const cluster::State& cluster) {
    const cluster::Node* publisher = cluster.publisher();
    const cluster::StoredCertificate* own =
        publisher == nullptr ? nullptr : cluster.find_own(cluster::Store::CallManager, *publisher);
    return own != nullptr && serves_with(list, own->certificate);
}

// In the style of the CTL client, which no database is asked in.
bool holds_signer(std::span<const tvs::DatabaseEntry> database, const TrustList& list) {
    return std::ranges::any_of(database, [&](const tvs::DatabaseEntry& entry) {
        if (!has_role(entry, Role::Sast) || !same_serial(list.signer_serial(), entry.certificate.serial()))
            return false;
        try {
            return name_text(entry.certificate.issuer_der(), NameStyle::CtlClient) == list.signer_issuer();
        } catch (const Error&) {
            return false;  // a name that the style cannot write is no token's
        }
    });
}

// A server once LIST is published: its own CTL file is the new one then, where that is its cluster's.
phone::TvsServer server_of(const tvs::Plan::Server& planned, const std::string& plan, const TrustList& list,
                           phone::ListKind kind, Publisher publisher) {
    phone::TvsServer server;
    server.state = planned.down ? phone::TvsServer::State::Down : phone::TvsServer::State::Answers;
    server.speaks_tls10 = planned.speaks_tls10;
    server.certificate = load_certificate(beside(plan, planned.certificate));
    std::vector<tvs::DatabaseEntry> entries;
    if (!planned.database.empty()) entries = tvs::Database::load(beside(plan, planned.database)).entries;
    std::optional<TrustList> own;
    if (!planned.ctl.empty()) own.emplace(load_list(beside(plan, planned.ctl)));
    const bool is_own =
        kind == phone::ListKind::Ctl && (publisher == Publisher::ThatCluster || is_own_ctl(list, entries));
    const TrustList* ctl = own ? &*own : is_own ? &list : nullptr;
    const tvs::CertificateStore store(entries, ctl);
    server.answer = tvs::to_phone(store.find(list.signer_issuer(), list.signer_serial()).answer);
    server.answer.holds_signer = holds_signer(entries, list);
    return server;
}

phone::TvsServer unknown_server() {
    phone::TvsServer server;
    server.state = phone::TvsServer::State::NotKnown;
    return server;
}

// Those of a cluster once LIST is published. What another cluster publishes they do not serve.
std::vector<phone::TvsServer> servers_of(const cluster::State& cluster, const TrustList& list,
                                         phone::ListKind kind, Publisher publisher) {
    std::optional<TrustList> served;
    const bool is_own =
        kind == phone::ListKind::Ctl && (publisher == Publisher::ThatCluster || is_own_ctl(list, cluster));
    if (!is_own && cluster.ctl() != nullptr) served = decode_list(ByteView(cluster.ctl()->octets));
    auto servers = tvs_servers(cluster, list, is_own ? &list : served ? &*served : nullptr);
    const bool holds = holds_signer(tvs_database(cluster), list);
    for (phone::TvsServer& server : servers) server.answer.holds_signer = holds;
    return servers;
}

// Whom the phones of a cluster ask: the nodes that their inventory names, else the first three. Which of them
// a device pool has, a cluster's file does not say; their answers are the same.
class TvsOfCluster {
  public:
    TvsOfCluster(const cluster::State& cluster, const TrustList& list, phone::ListKind kind,
                 Publisher publisher)
        : servers_(servers_of(cluster, list, kind, publisher)) {
        for (const cluster::Node& node : cluster.nodes) {
            if (cluster.find_own(cluster::Store::Tvs, node) == nullptr) continue;
            names_.emplace_back(node.name, address_text(node.address).value_or(""));
        }
    }
    std::vector<phone::TvsServer> operator()(const phone::Traits& traits) const {
        std::vector<phone::TvsServer> asked;
        for (const std::string_view name : tvs::split_servers(traits.tvs)) {
            const auto at = std::ranges::find_if(names_, [&](const auto& one) {
                return tvs::same_server(one.first, name) || one.second == name;
            });
            asked.push_back(at == names_.end() ? unknown_server()
                                               : servers_[static_cast<std::size_t>(at - names_.begin())]);
        }
        if (!asked.empty()) return asked;
        return {servers_.begin(), std::next(servers_.begin(), static_cast<std::ptrdiff_t>(std::min(
                                                                  servers_.size(), tvs::kServersOfAPhone)))};
    }

  private:
    std::vector<phone::TvsServer> servers_;
    std::vector<std::pair<std::string, std::string>> names_;  // and addresses, of each of them
};

}  // namespace

void add_inventory_option(Command command, std::string& path) {
    command.add_option("--phones", path, "The inventory (default phones.csv)").type_name("FILE");
}

phone::Inventory load_inventory(const std::string& path) {
    const LoadedFile file = load_file(path, limits::kInventory);
    return phone::Inventory::decode(as_text(file.bytes), path);
}

void add_judge_options(Command command, JudgeOptions& options) {
    command
        .add_option("--models", options.models, "More rows of models, as ctlsign/phone/models.toml has them")
        .type_name("FILE");
    command
        .add_option(
            "--tvs", options.tvs,
            "TOML with the TVS servers, and which of them device pools ask (default: those of the cluster)")
        .type_name("FILE");
}

phone::ModelTable load_models(const JudgeOptions& options) {
    phone::ModelTable table = phone::ModelTable::shipped();
    if (!options.models.empty()) {
        const Input input = read_input(options.models);
        table.append(phone::ModelTable::decode(as_text(input.bytes), input.name));
    }
    return table;
}

phone::TvsOf load_tvs(const JudgeOptions& options, const TrustList& list, phone::ListKind kind,
                      const cluster::State* cluster, Publisher publisher) {
    if (options.tvs.empty() && cluster == nullptr)
        return [](const phone::Traits&) { return std::vector{unknown_server()}; };
    if (options.tvs.empty()) return TvsOfCluster(*cluster, list, kind, publisher);
    auto servers = std::make_shared<std::vector<phone::TvsServer>>();
    const Input input = read_input(options.tvs);
    auto plan = std::make_shared<tvs::Plan>(tvs::Plan::decode(as_text(input.bytes), input.name));
    for (const auto& planned : plan->servers)
        servers->push_back(server_of(planned, options.tvs, list, kind, publisher));
    return [plan, servers](const phone::Traits& traits) {
        std::vector<phone::TvsServer> asked;
        for (const auto index : plan->servers_of(traits.tvs, traits.pool))
            asked.push_back(index ? (*servers)[*index] : unknown_server());
        return asked;
    };
}

phone::ListKind kind_of(const TrustList& list) noexcept {
    return list.filename().starts_with("ITL") ? phone::ListKind::Itl : phone::ListKind::Ctl;
}

void add_phone_commands(Command command, Action& action) {
    add_phone_import(command, action);
    add_phone_list(command, action);
    add_phone_decide(command, action);
    add_phone_preflight(command, action);
    add_phone_simulate(command, action);
}

}  // namespace ctlsign::cli
