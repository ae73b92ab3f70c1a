#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/nodes.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cluster {

void add_node(Writer& writer, const Node& node) {
    sqlite::Transaction transaction(writer.connection());
    writer.connection().run(
        "INSERT INTO node(name, address, publisher, role, target, host_key, identity) VALUES(?, ?, ?, ?, ?, "
        "?, ?)",
        {node.name, node.address, std::int64_t{node.place == Place::Publisher},
         static_cast<std::int64_t>(node.role), node.target, node.host_key, sqlite::or_null(node.identity)});
    append_audit(writer, "node-added",
                 {{"node", node.name},
                  {"address", address_text(node.address).value_or("")},
                  {"role", role_name(node.role)},
                  {"target", node.target}});
    transaction.commit();
}

void remove_node(Writer& writer, const Node& node) {
    sqlite::Transaction transaction(writer.connection());
    writer.connection().run("DELETE FROM node WHERE id=?", {node.id});
    append_audit(writer, "node-removed", {{"node", node.name}, {"target", node.target}});
    transaction.commit();
}

}  // namespace ctlsign::cluster
