#include <string>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/parameters.hpp>
#include <ctlsign/files/sqlite.hpp>

namespace ctlsign::cluster {

void set_release(Writer& writer, const Release& release) {
    sqlite::Transaction transaction(writer.connection());
    writer.set_parameter("Release", release.text());
    append_audit(writer, "release", {{"release", release.text()}});
    transaction.commit();
}

void set_rollback(Writer& writer, std::string_view value) {
    sqlite::Transaction transaction(writer.connection());
    writer.set_parameter("RollbackToPre8", value);
    append_audit(writer, "rollback-parameter", {{"value", std::string(value)}});
    transaction.commit();
}

}  // namespace ctlsign::cluster
