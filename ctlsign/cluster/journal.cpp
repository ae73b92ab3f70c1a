#include <ctlsign/cluster/journal.hpp>
#include <ctlsign/cluster/must.hpp>
#include <ctlsign/files/sqlite.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::string_view kWayOut = "WayOut";

std::string_view to_text(Unfinished::Step step) noexcept {
    return step == Unfinished::Step::Preparing ? "preparing" : "switching";
}

std::optional<Unfinished::Step> find_step(std::string_view text) noexcept {
    for (const auto step : {Unfinished::Step::Preparing, Unfinished::Step::Switching})
        if (text == to_text(step)) return step;
    return std::nullopt;
}

}  // namespace

void write_journal(Writer& writer, const JournalEntry& entry) {
    sqlite::Connection& connection = writer.connection();
    sqlite::Transaction transaction(connection);
    connection.run(
        "INSERT INTO journal(id, step, started, operation, way, mode, signer, octets) "
        "VALUES(1,?,?,?,?,?,?,?)",
        {to_text(entry.step), entry.started, std::string_view(entry.operation), cluster::to_text(entry.way),
         static_cast<std::int64_t>(entry.mode), std::string_view(entry.signer),
         sqlite::or_null(entry.octets)});
    for (const auto& before : entry.before)
        connection.run("INSERT INTO journal_node VALUES(?, ?)",
                       {before.node, sqlite::or_null(before.octets)});
    for (const auto& token : entry.tokens)
        connection.run("INSERT INTO journal_token VALUES(?, ?, ?, ?)",
                       {std::string_view(token.label), std::string_view(token.serial),
                        token.certificate.der(), cluster::to_text(token.state)});
    if (!entry.way_out.empty()) writer.set_parameter(kWayOut, entry.way_out);
    transaction.commit();
}

void set_journal_step(Writer& writer, Unfinished::Step step) {
    writer.connection().run("UPDATE journal SET step=?", {to_text(step)});
}

std::optional<JournalEntry> read_journal(const Database& database) {
    sqlite::Connection& connection = database.connection();
    sqlite::Statement row =
        connection.query("SELECT step, started, operation, way, mode, signer, octets FROM journal");
    if (!row.step()) return std::nullopt;
    JournalEntry entry;
    entry.step = must(find_step(row.text(0)), "the step of a publication");
    entry.started = row.integer(1);
    entry.operation = row.text(2);
    entry.way = must(find_way(row.text(3)), "the way of a publication");
    entry.mode = row.integer(4) == 1 ? Mode::Mixed : Mode::NonSecure;
    entry.signer = row.text(5);
    entry.octets = row.find_blob(6);
    sqlite::Statement node = connection.query("SELECT node, octets FROM journal_node ORDER BY node");
    while (node.step()) entry.before.push_back({node.integer(0), node.find_blob(1)});
    sqlite::Statement token = connection.query("SELECT label, serial, der, state FROM journal_token");
    while (token.step())
        entry.tokens.push_back({0, token.text(0), token.text(1), sast::Certificate::decode(token.blob(2)),
                                must(find_token_state(token.text(3)), "the state of a token")});
    return entry;
}

std::optional<std::string> find_way_out(const Database& database) {
    return database.find_parameter(kWayOut);
}

void clear_way_out(Writer& writer) {
    writer.connection().run("DELETE FROM processconfig WHERE paramname=?", {kWayOut});
}

void write_journal_key(Writer& writer, const JournalKey& key) {
    writer.connection().run("INSERT INTO journal_key VALUES(1, ?, ?, ?, ?, ?)",
                            {key.started, cluster::to_text(key.store), key.node, key.certificate.der(),
                             std::string_view(key.path)});
}

std::optional<JournalKey> read_journal_key(const Database& database) {
    sqlite::Statement row =
        database.connection().query("SELECT started, store, node, der, path FROM journal_key");
    if (!row.step()) return std::nullopt;
    return JournalKey{row.integer(0), row.integer(2),
                      must(find_store(row.text(1)), "the store of a certificate that is made anew"),
                      sast::Certificate::decode(row.blob(3)), row.text(4)};
}

void clear_journal_key(Writer& writer) {
    writer.connection().run("DELETE FROM journal_key");
}

void clear_journal(Writer& writer) {
    for (const char* table : {"journal", "journal_node", "journal_token"})
        writer.connection().run(std::string("DELETE FROM ") + table);
}

}  // namespace ctlsign::cluster
