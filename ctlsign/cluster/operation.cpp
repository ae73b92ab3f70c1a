#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/install.hpp>
#include <ctlsign/cluster/journal.hpp>
#include <ctlsign/cluster/operation.hpp>
#include <ctlsign/cluster/publish.hpp>
#include <ctlsign/cluster/services.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <sast/error.hpp>

namespace ctlsign::cluster {

namespace {

std::int64_t now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())
        .time_since_epoch()
        .count();
}

std::string sha1_of(const std::optional<Bytes>& octets) {
    return octets ? checksums(*octets).sha1 : "none";
}

// Signs; a PIN that was refused is remembered by the audit.
Bytes sign(Writer& writer, const ListDraft& draft, sast::Signer& signer) {
    try {
        Bytes octets = sign_list(draft, signer);
        append_audit(writer, "signature",
                     {{"signer", signer.facts().description},
                      {"certificate", signer.facts().certificate.subject_text()},
                      {"digest", std::string(ctlsign::to_text(draft.header.digest))},
                      {"file", sha1_of(octets)}});
        return octets;
    } catch (const Error& error) {
        if (error.code() == pkcs11::Recovery::pin_wrong || error.code() == pkcs11::Recovery::pin_locked ||
            error.code() == sast::Errc::WrongPassphrase)
            append_audit(writer, "pin-failure",
                         {{"signer", signer.facts().description}, {"code", error.code().message()}});
        throw;
    }
}

void store_tokens(sqlite::Connection& connection, const std::vector<KnownToken>& tokens) {
    for (const KnownToken& token : tokens) {
        const std::string name = token.label.empty() ? token.certificate.common_name() : token.label;
        connection.run(
            "INSERT INTO token(label, serial, der, state) VALUES(?, ?, ?, ?) ON CONFLICT(der) DO UPDATE SET "
            "label=CASE WHEN excluded.serial<>'' THEN excluded.label ELSE label END, "
            "serial=CASE WHEN excluded.serial<>'' THEN excluded.serial ELSE serial END, "
            "state=CASE WHEN excluded.state='retired' AND state<>'in use' THEN state ELSE excluded.state END",
            {std::string_view(name), std::string_view(token.serial), token.certificate.der(),
             to_text(token.state)});
    }
}

// The CTL that the nodes serve now, and what comes with it. In the transaction under way.
std::int64_t record(Writer& writer, const JournalEntry& entry) {
    sqlite::Connection& connection = writer.connection();
    const Checksums sums = entry.octets ? checksums(*entry.octets) : Checksums{};
    connection.run(
        "INSERT INTO publication(time, operation, way, mode, signer, md5, sha1, octets) "
        "VALUES(?,?,?,?,?,?,?,?)",
        {entry.started, std::string_view(entry.operation), to_text(entry.way),
         static_cast<std::int64_t>(entry.mode), std::string_view(entry.signer), std::string_view(sums.md5),
         std::string_view(sums.sha1), sqlite::or_null(entry.octets)});
    const std::int64_t publication = connection.last_id();
    writer.set_parameter("ClusterSecurityMode", entry.mode == Mode::Mixed ? "1" : "0");
    store_tokens(connection, entry.tokens);
    if (entry.octets) clear_way_out(writer);
    return publication;
}

std::string node_names(sqlite::Connection& connection, const JournalEntry& entry) {
    std::string names;
    for (const auto& before : entry.before) {
        sqlite::Statement row = connection.query("SELECT name FROM node WHERE id=?", {before.node});
        // One that was removed meanwhile has not taken part.
        if (row.step()) names += (names.empty() ? "" : ", ") + row.text(0);
    }
    return names;
}

// The database as it is after ENTRY: one transaction, the journal's end included.
std::int64_t complete(Writer& writer, const JournalEntry& entry) {
    sqlite::Connection& connection = writer.connection();
    sqlite::Transaction transaction(connection);
    // A file that is taken from one node of several is no news for the cluster.
    const bool everywhere = entry.octets || static_cast<std::int64_t>(entry.before.size()) ==
                                                connection.integer("SELECT count(*) FROM node");
    const std::int64_t publication = everywhere ? record(writer, entry) : 0;
    if (entry.octets) publish_certificates(writer, ByteView(*entry.octets));
    // Where a CTL is to follow a deletion, it is what the services are restarted for.
    if (entry.octets || entry.mode == Mode::NonSecure) add_restarts_of_ctl(writer, entry.operation);
    append_audit(writer, "publication",
                 {{"operation", entry.operation},
                  {"mode", std::string(to_text(entry.mode))},
                  {"signer", entry.signer},
                  {"nodes", node_names(connection, entry)},
                  {"from", entry.before.empty() ? "none" : sha1_of(entry.before.front().octets)},
                  {"to", sha1_of(entry.octets)}});
    clear_journal(writer);
    transaction.commit();
    return publication;
}

void undo(Writer& writer, const JournalEntry& entry, const std::string& reason) {
    sqlite::Transaction transaction(writer.connection());
    append_audit(writer, "undone",
                 {{"operation", entry.operation}, {"reason", reason}, {"to", sha1_of(entry.octets)}});
    if (!entry.octets) clear_way_out(writer);
    clear_journal(writer);
    transaction.commit();
}

// What of ENTRY's nodes is still a node, with what it served before.
std::vector<ReachedNode> reach_again(const State& state, const JournalEntry& entry, const std::string& step) {
    std::vector<ReachedNode> nodes;
    for (const auto& before : entry.before) {
        const Node* node = state.find_node(before.node);
        if (node == nullptr) continue;
        try {
            nodes.push_back({*node, open_target(*node), before.octets});
            nodes.back().target->load();
        } catch (const std::exception& error) {
            throw Error(Errc::Unfinished, step, node->name,
                        fmt::format("{}; every node must be reached: one that is gone for good is forgotten "
                                    "with ctlsign cluster node remove {}",
                                    error.what(), node->name));
        }
    }
    return nodes;
}

}  // namespace

Carried carry_out(Writer& writer, const Plan& plan, sast::Signer* signer, std::vector<ReachedNode>& nodes,
                  const std::vector<Refusal>& forced) {
    append_forced(writer, to_text(plan.operation), forced);
    JournalEntry entry;
    entry.started = now();
    entry.operation = to_text(plan.operation);
    entry.way = plan.way;
    entry.mode = plan.mode;
    entry.tokens = plan.tokens;
    entry.way_out = plan.way_out;
    if (plan.list) {
        // Found out before the PIN: whether there is room for a file of that size.
        prepare_nodes(nodes,
                      Bytes(signed_size(prepare(*plan.list).octets.size(), plan.list->header.key_bits / 8)));
        entry.octets = sign(writer, *plan.list, *signer);
        entry.signer = plan.signer->subject_text();
    }
    for (const ReachedNode& node : nodes) entry.before.push_back({node.node.id, node.octets});
    write_journal(writer, entry);
    try {
        prepare_nodes(nodes, entry.octets);
        set_journal_step(writer, Unfinished::Step::Switching);
        switch_nodes(nodes, entry.octets);
    } catch (const Error& error) {
        if (error.code() != Errc::Unfinished) undo(writer, entry, error.what());
        throw;
    }
    const std::int64_t publication = complete(writer, entry);
    return {std::move(entry.octets), publication};
}

std::int64_t adopt(Writer& writer, const Bytes& octets) {
    const TrustList list = decode_list(ByteView(octets));
    const Verdict verdict = verify(list, {}, std::chrono::sys_seconds(std::chrono::seconds(now())));
    if (verdict.outcome != Outcome::Verified)
        throw Error(Errc::NotVerified, "adopting the CTL", "", to_text(verdict));
    JournalEntry entry;
    entry.started = now();
    entry.operation = "adopt";
    entry.octets = octets;
    entry.signer = list.signer_name();
    entry.mode = Mode::NonSecure;
    const auto tokens = token_certificates(list);
    for (const auto& token : tokens) entry.tokens.push_back({0, "", "", token, TokenState::InUse});
    // What became of the others is kept where it is known.
    for (const KnownToken& known : writer.database().load().tokens)
        if (std::ranges::find(tokens, known.certificate) == tokens.end())
            entry.tokens.push_back({0, "", "", known.certificate, TokenState::Retired});
    for (const Record& record : list.records()) {
        if ((record.role() == Role::Ccm || record.role() == Role::CcmTftp) && record.certificate())
            entry.mode = Mode::Mixed;
        if (is_signer(record, list) && record.certificate() &&
            std::ranges::find(tokens, sast::Certificate::decode(*record.certificate())) != tokens.end())
            entry.way = Way::Tokens;
    }
    sqlite::Transaction transaction(writer.connection());
    const std::int64_t publication = record(writer, entry);
    append_audit(writer, "adopted",
                 {{"mode", std::string(to_text(entry.mode))},
                  {"signer", entry.signer},
                  {"file", sha1_of(entry.octets)}});
    transaction.commit();
    return publication;
}

void set_token_state(Writer& writer, const sast::Certificate& token, TokenState state) {
    sqlite::Transaction transaction(writer.connection());
    store_tokens(writer.connection(), {{0, "", "", token, state}});
    append_audit(writer, "token",
                 {{"certificate", token.subject_text()}, {"state", std::string(to_text(state))}});
    transaction.commit();
}

std::optional<Unfinished> find_unfinished(const Database& database) {
    if (const auto entry = read_journal(database))
        return Unfinished{entry->operation, entry->started, Unfinished::Kind::Publication, entry->step};
    if (const auto key = read_journal_key(database))
        return Unfinished{"certificate regenerate", key->started, Unfinished::Kind::Key};
    return std::nullopt;
}

Resumed resume(Writer& writer) {
    const auto publication = read_journal(writer.database());
    if (!publication) return finish_install(writer) ? Resumed::Finished : Resumed::Undone;
    const JournalEntry& entry = *publication;
    if (entry.step == Unfinished::Step::Preparing) {
        undo(writer, entry, "it was ended before a node was switched");
        return Resumed::Undone;
    }
    const std::string step = fmt::format("ending {}", entry.operation);
    const std::vector<ReachedNode> nodes = reach_again(writer.database().load(), entry, step);
    try {
        for (const ReachedNode& node : nodes) bring_to(node, entry.octets);
    } catch (const std::exception& error) {
        try {
            for (const ReachedNode& node : nodes) bring_to(node, node.octets);
        } catch (const std::exception& second) {
            throw Error(Errc::Unfinished, step, "", second.what());
        }
        undo(writer, entry, error.what());
        return Resumed::Undone;
    }
    complete(writer, entry);
    return Resumed::Finished;
}

}  // namespace ctlsign::cluster
