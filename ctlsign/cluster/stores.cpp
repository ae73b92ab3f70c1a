#include <array>
#include <utility>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/services.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/trustlist/decode.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::array<std::pair<Store, Store>, 5> kCopies{{{Store::CallManager, Store::CallManagerTrust},
                                                          {Store::Capf, Store::CapfTrust},
                                                          {Store::Capf, Store::CallManagerTrust},
                                                          {Store::Ipsec, Store::IpsecTrust},
                                                          {Store::Tomcat, Store::TomcatTrust}}};

constexpr std::string_view kInsert =
    "INSERT OR IGNORE INTO certificate(store, node, subject, serial, not_after, der, key) "
    "VALUES(?, ?, ?, ?, ?, ?, ?)";

bool insert(sqlite::Connection& connection, Store store, sqlite::Value node,
            const sast::Certificate& certificate, sqlite::Value key) {
    const std::string subject = certificate.subject_text();
    const std::string serial = to_hex(certificate.serial());
    connection.run(kInsert,
                   {to_text(store), node, subject, serial, certificate.not_after(), certificate.der(), key});
    return connection.integer("SELECT changes()") > 0;
}

void append(Writer& writer, std::string_view event, Store store, const sast::Certificate& certificate,
            const std::string& node) {
    append_audit(writer, event,
                 {{"store", std::string(to_text(store))},
                  {"node", node},
                  {"subject", certificate.subject_text()},
                  {"serial", to_hex(certificate.serial())}});
}

}  // namespace

void put_own_certificate(Writer& writer, Store store, const Node& node, const sast::Certificate& certificate,
                         const std::optional<std::string>& key) {
    sqlite::Connection& connection = writer.connection();
    sqlite::Transaction transaction(connection);
    // The same one again brings no more than the place of its key.
    connection.run("DELETE FROM certificate WHERE store=? AND node=? AND der<>?",
                   {to_text(store), node.id, certificate.der()});
    const bool replaced = connection.integer("SELECT changes()") > 0;
    connection.run("UPDATE certificate SET key=? WHERE store=? AND node=?",
                   {sqlite::or_null(key), to_text(store), node.id});
    if (insert(connection, store, node.id, certificate, sqlite::or_null(key))) {
        append(writer, "certificate-imported", store, certificate, node.name);
        for (const auto& [from, to] : kCopies)
            if (from == store) add_trusted_certificate(writer, to, certificate);
        if (replaced) {
            connection.run("UPDATE certificate SET unsettled=? WHERE store=? AND node=?",
                           {static_cast<std::int64_t>(Settling::Changed), to_text(store), node.id});
            add_restarts_of(writer, store, node);
        }
    }
    transaction.commit();
}

bool add_trusted_certificate(Writer& writer, Store store, const sast::Certificate& certificate) {
    sqlite::Transaction transaction(writer.connection());
    const bool added = insert(writer.connection(), store, {}, certificate, {});
    if (added) append(writer, "certificate-imported", store, certificate, "");
    transaction.commit();
    return added;
}

void publish_certificates(Writer& writer, ByteView octets) {
    const TrustList list = decode_list(octets);
    for (const Record& record : list.records()) {
        if (!record.certificate()) continue;
        writer.connection().run("UPDATE certificate SET unsettled=? WHERE unsettled=? AND der=?",
                                {static_cast<std::int64_t>(Settling::Published),
                                 static_cast<std::int64_t>(Settling::Changed), *record.certificate()});
    }
}

void settle_certificates(Writer& writer, const State& state) {
    for (const StoredCertificate& stored : state.certificates)
        if (stored.settling != Settling::Settled && !waits_for_ctl(state, stored))
            writer.connection().run("UPDATE certificate SET unsettled=0 WHERE id=?", {stored.id});
}

void delete_certificate(Writer& writer, const StoredCertificate& stored) {
    sqlite::Transaction transaction(writer.connection());
    writer.connection().run("DELETE FROM certificate WHERE id=?", {stored.id});
    append(writer, "certificate-deleted", stored.store, stored.certificate, "");
    transaction.commit();
}

}  // namespace ctlsign::cluster
