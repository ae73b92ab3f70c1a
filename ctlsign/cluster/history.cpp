#include <ctlsign/cluster/history.hpp>
#include <ctlsign/cluster/must.hpp>
#include <ctlsign/files/sqlite.hpp>

namespace ctlsign::cluster {

std::vector<HistoryEntry> list_publications(const Database& database) {
    std::vector<HistoryEntry> entries;
    sqlite::Statement row = database.connection().query(
        "SELECT id, time, operation, way, mode, signer, md5, sha1, coalesce(length(octets), 0), withdrawn "
        "FROM "
        "publication ORDER BY id");
    while (row.step()) {
        entries.push_back({row.integer(0), row.integer(1), row.text(2),
                           must(find_way(row.text(3)), "the way of a publication"),
                           row.integer(4) == 1 ? Mode::Mixed : Mode::NonSecure, row.text(5), row.text(6),
                           row.text(7), row.integer(8), row.integer(9) != 0});
    }
    return entries;
}

std::optional<Bytes> find_published(const Database& database, std::int64_t id) {
    sqlite::Statement row = database.connection().query("SELECT octets FROM publication WHERE id=?", {id});
    if (!row.step()) return std::nullopt;
    return row.find_blob(0);
}

}  // namespace ctlsign::cluster
