#include <array>
#include <span>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/services.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <ctlsign/files/sqlite.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::array<std::string_view, 8> kServices{"CAPF",       "TVS",       "TFTP",       "CallManager",
                                                    "CTIManager", "DRF Local", "DRF Master", "Tomcat"};

void add(sqlite::Connection& connection, Service service, std::int64_t node, std::string_view reason) {
    connection.run("INSERT OR REPLACE INTO restart(service, node, reason) VALUES(?, ?, ?)",
                   {static_cast<std::int64_t>(service), node, reason});
}

}  // namespace

std::span<const Service> services_of(Store store) noexcept {
    static constexpr std::array kCallManager{Service::CallManager, Service::Tftp, Service::CtiManager};
    static constexpr std::array kCapf{Service::Capf, Service::Tvs, Service::Tftp};
    static constexpr std::array kTvs{Service::Tvs};
    static constexpr std::array kIpsec{Service::DrfLocal, Service::DrfMaster};
    static constexpr std::array kTomcat{Service::Tomcat};
    switch (store) {
        case Store::CallManager:
            return kCallManager;
        case Store::Capf:
            return kCapf;
        case Store::Tvs:
            return kTvs;
        case Store::Ipsec:
            return kIpsec;
        case Store::Tomcat:
            return kTomcat;
        default:
            return {};
    }
}

std::string_view to_text(Service service) noexcept {
    return kServices[static_cast<std::size_t>(service)];
}

void add_restarts_of_ctl(Writer& writer, std::string_view reason) {
    std::vector<std::pair<std::int64_t, Role>> nodes;
    sqlite::Statement row = writer.connection().query("SELECT id, role FROM node");
    while (row.step()) nodes.emplace_back(row.integer(0), static_cast<Role>(row.integer(1)));
    for (const auto& [node, role] : nodes) {
        if (role != Role::Ccm) add(writer.connection(), Service::Tftp, node, reason);
        if (role != Role::Tftp) add(writer.connection(), Service::CallManager, node, reason);
    }
}

void add_restarts_of(Writer& writer, Store store, const Node& node) {
    const std::string reason = std::string(to_text(store)) + " certificate changed";
    for (const Service service : services_of(store)) add(writer.connection(), service, node.id, reason);
}

void add_restarts_everywhere(Writer& writer, Service service, std::string_view reason) {
    writer.connection().run("INSERT OR REPLACE INTO restart(service, node, reason) SELECT ?, id, ? FROM node",
                            {static_cast<std::int64_t>(service), reason});
}

std::vector<Restart> list_restarts(const Database& database) {
    std::vector<Restart> restarts;
    sqlite::Statement row = database.connection().query(
        "SELECT restart.service, node.name, restart.reason FROM restart JOIN node ON node.id=restart.node "
        "ORDER BY restart.service, node.publisher DESC, node.id");
    while (row.step()) restarts.push_back({static_cast<Service>(row.integer(0)), row.text(1), row.text(2)});
    return restarts;
}

void clear_restarts(Writer& writer) {
    const State state = writer.database().load();
    sqlite::Transaction transaction(writer.connection());
    writer.connection().run("DELETE FROM restart");
    settle_certificates(writer, state);
    append_audit(writer, "restarted", {});
    transaction.commit();
}

}  // namespace ctlsign::cluster
