#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/must.hpp>
#include <ctlsign/files/sqlite.hpp>

namespace ctlsign::cluster {

namespace {

std::vector<Node> load_nodes(sqlite::Connection& connection) {
    std::vector<Node> nodes;
    sqlite::Statement row = connection.query(
        "SELECT id, name, address, publisher, role, target, host_key, identity FROM node ORDER BY publisher "
        "DESC, id");
    while (row.step()) {
        nodes.push_back({row.integer(0), row.text(1), row.blob(2),
                         row.integer(3) == 1 ? Place::Publisher : Place::Subscriber,
                         static_cast<Role>(row.integer(4)), row.text(5), row.text(6), row.find_text(7)});
    }
    return nodes;
}

std::optional<Settling> find_settling(std::int64_t number) {
    for (const Settling settling : {Settling::Settled, Settling::Changed, Settling::Published})
        if (number == static_cast<std::int64_t>(settling)) return settling;
    return std::nullopt;
}

std::vector<StoredCertificate> load_certificates(sqlite::Connection& connection) {
    std::vector<StoredCertificate> certificates;
    sqlite::Statement row =
        connection.query("SELECT id, store, node, der, key, unsettled FROM certificate ORDER BY id");
    while (row.step()) {
        StoredCertificate stored;
        stored.id = row.integer(0);
        stored.store = must(find_store(row.text(1)), "the store of a certificate");
        if (row.integer(2) != 0) stored.node = row.integer(2);
        stored.certificate = sast::Certificate::decode(row.blob(3));
        stored.key = row.find_text(4);
        stored.settling = must(find_settling(row.integer(5)), "unsettled");
        certificates.push_back(std::move(stored));
    }
    return certificates;
}

std::vector<KnownToken> load_tokens(sqlite::Connection& connection) {
    std::vector<KnownToken> tokens;
    sqlite::Statement row = connection.query("SELECT id, label, serial, der, state FROM token ORDER BY id");
    while (row.step()) {
        tokens.push_back({row.integer(0), row.text(1), row.text(2), sast::Certificate::decode(row.blob(3)),
                          must(find_token_state(row.text(4)), "the state of a token")});
    }
    return tokens;
}

}  // namespace

State Database::load() const {
    // One snapshot, whatever a writer does meanwhile.
    connection_->execute("BEGIN");
    State state;
    try {
        state.name = must(find_parameter("ClusterName"), "ClusterName");
        state.release = must(Release::parse(must(find_parameter("Release"), "Release")), "Release");
        state.mode = must(find_parameter("ClusterSecurityMode"), "ClusterSecurityMode") == "1"
                         ? Mode::Mixed
                         : Mode::NonSecure;
        state.prepared_for_rollback = must(find_parameter("RollbackToPre8"), "RollbackToPre8") == "True";
        state.nodes = load_nodes(*connection_);
        state.certificates = load_certificates(*connection_);
        state.tokens = load_tokens(*connection_);
        sqlite::Statement row = connection_->query(
            "SELECT id, time, operation, way, mode, octets, id < (SELECT max(id) FROM publication "
            "WHERE withdrawn=0) FROM publication WHERE octets IS NOT NULL AND withdrawn=0 ORDER BY id DESC "
            "LIMIT 1");
        if (row.step()) {
            state.last = Publication{row.integer(0),
                                     row.integer(1),
                                     row.text(2),
                                     must(find_way(row.text(3)), "the way of a publication"),
                                     row.integer(4) == 1 ? Mode::Mixed : Mode::NonSecure,
                                     row.blob(5)};
            state.deleted = row.integer(6) == 1;
        }
    } catch (...) {
        // SQLite itself has ended it where the disk failed.
        if (connection_->in_transaction()) connection_->execute("ROLLBACK");
        throw;
    }
    connection_->execute("COMMIT");
    return state;
}

}  // namespace ctlsign::cluster
