#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/schema.hpp>
#include <ctlsign/cluster/sealer.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/limits.hpp>
#include <pkcs11/private_files.hpp>
#include <pkcs11/store.hpp>
#include <pkcs11/uri.hpp>
#include <sast/error.hpp>
#include <sast/key_file.hpp>
#include <sast/publisher_signer.hpp>

namespace ctlsign::cluster {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "ctlsign cluster backup 1\n";
constexpr std::size_t kHashSize = 32;
constexpr std::size_t kKept = 20;
constexpr std::string_view kBackupExtension = ".backup";
// All that a backup brings back; the audit goes on. Those that others refer to come first.
constexpr std::string_view kPublications = "publication";
constexpr std::array<std::string_view, 6> kTables{"processconfig", "node",        "certificate",
                                                  "token",         kPublications, "restart"};

Bytes hash_of(ByteView image) {
    const std::array<ByteView, 1> parts{image};
    return compute_digest(Digest::Sha256, parts);
}

[[noreturn]] void damaged(const std::string& path, std::string_view why) {
    throw Error(Errc::Malformed, "reading the backup", path, why);
}

void store_image(ByteView image, const std::string& path) {
    std::string content(kMark);
    content += as_text(hash_of(image));
    content += as_text(image);
    store_file(path, as_bytes(content), Readers::OwnerAlone);
}

// What a command reads is not every page: damage would be found on the day when the backup is needed.
Database copy_whole(const Database& database) {
    Database copy = Database::open_image(database.connection().image(), database.path());
    if (!copy.is_whole())
        throw Error(Errc::Malformed, "taking a backup", database.path(),
                    "SQLite finds it damaged: ctlsign cluster restore puts an earlier backup in its place");
    return copy;
}

// The files of the keys that the stores name go into a table of their own, each encrypted.
void seal_keys(const Database& copy, const pkcs11::Pin& passphrase) {
    sqlite::Connection& connection = copy.connection();
    connection.execute(
        "CREATE TABLE sealed_key(path TEXT PRIMARY KEY, salt BLOB NOT NULL, sealed BLOB NOT NULL)");
    const Bytes salt = Sealer::make_salt();
    const Sealer sealer(passphrase, salt);
    for (const StoredCertificate& stored : copy.load().certificates) {
        if (!stored.key || pkcs11::Uri::looks_like(*stored.key)) continue;
        const sast::KeyOctets secret(load_file(*stored.key, sast::PublisherSigner::kMaxFileSize).bytes);
        connection.run("INSERT OR REPLACE INTO sealed_key VALUES(?, ?, ?)",
                       {std::string_view(*stored.key), salt, sealer.seal(*stored.key, secret.octets())});
    }
}

// In FOLDER, named after the certificate that it belongs to. Nothing when no file can be named so.
std::optional<fs::path> find_key_file(const fs::path& folder, const State& state,
                                      const StoredCertificate& stored) {
    const Node* node = state.find_node(stored.node);
    if (node == nullptr || node->name.find('/') != std::string::npos) return std::nullopt;
    return folder / fmt::format("{}-{}-{}{}", to_text(stored.store), node->name,
                                to_hex(stored.certificate.serial()),
                                fs::path(*stored.key).extension().string());
}

std::string now_text() {
    const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    return std::to_string(now.time_since_epoch().count());
}

}  // namespace

void backup(const Database& database, const std::string& path) {
    store_image(copy_whole(database).connection().image(), path);
}

void backup_with_keys(const Database& database, const std::string& path, const pkcs11::Pin& passphrase) {
    const Database copy = copy_whole(database);
    seal_keys(copy, passphrase);
    store_image(copy.connection().image(), path);
}

std::string backup_before_change(const Database& database) {
    const fs::path folder = database.path() + ".backups";
    make_private_folder(folder);
    remove_unfinished(folder.string());
    const fs::path path = folder / (now_text() + std::string(kBackupExtension));
    backup(database, path.string());
    std::vector<fs::path> kept;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == kBackupExtension) kept.push_back(entry.path());
    std::ranges::sort(kept);
    for (std::size_t number = 0; number + kKept < kept.size(); ++number) fs::remove(kept[number]);
    return path.string();
}

static bool is_of_a_later_program(const std::string& path) {
    try {
        sqlite::Connection connection(path, sqlite::Connection::Access::Read, "");
        return connection.integer("PRAGMA application_id") == kApplicationId &&
               connection.integer("PRAGMA user_version") > static_cast<std::int64_t>(kMigrations.size());
    } catch (const Error&) {
        return false;
    }
}

std::optional<std::string> find_damage(const std::string& path) {
    try {
        const Database database = Database::open(path);
        database.load();
        if (database.is_whole()) return std::nullopt;
    } catch (const Error& error) {
        if (error.code() != Errc::Malformed && error.code() != sast::Errc::MalformedCertificate) throw;
        if (is_of_a_later_program(path)) throw;
        return error.what();
    }
    return fmt::format("SQLite finds {} damaged", path);
}

Backup Backup::load(const std::string& path) {
    Backup backup;
    backup.path_ = path;
    const Bytes content = load_file(path, limits::kBackup).bytes;
    const ByteView octets(content);
    if (!as_text(octets).starts_with(kMark)) damaged(path, "this is no backup of a cluster");
    if (octets.size() < kMark.size() + kHashSize) damaged(path, "it is cut off: take another backup");
    const ByteView image = octets.subspan(kMark.size() + kHashSize);
    if (!equal(octets.subspan(kMark.size(), kHashSize), hash_of(image)))
        damaged(path, "it is damaged: take another backup");
    backup.image_.assign(image.begin(), image.end());
    // Whether it opens and is whole, brought to the schema of this program.
    const Database database = Database::open_image(image, path);
    if (!database.is_whole()) damaged(path, "its database is damaged: take another backup");
    backup.name_ = database.load().name;
    return backup;
}

void Backup::restore_keys(const std::string& folder, const pkcs11::Pin& passphrase) {
    const Database copy = Database::open_image(image_, path_);
    sqlite::Connection& connection = copy.connection();
    if (connection.integer("SELECT count(*) FROM sqlite_schema WHERE name='sealed_key'") == 0)
        throw Error(sast::Errc::NoKey, "restoring the keys", path_, "it was taken without --keys");
    std::optional<Sealer> sealer;
    std::map<std::string, sast::KeyOctets> secrets;
    {
        sqlite::Statement row = connection.query("SELECT path, salt, sealed FROM sealed_key");
        while (row.step()) {
            if (!sealer) sealer.emplace(passphrase, row.blob(1));
            auto secret = sealer->find_secret(row.text(0), row.blob(2));
            if (!secret)
                throw Error(sast::Errc::WrongPassphrase, "restoring the keys", path_, "nothing was changed");
            secrets.try_emplace(row.text(0), std::move(*secret));
        }
    }
    const fs::path target = fs::absolute(folder).lexically_normal();
    make_private_folder(target);
    const State state = copy.load();
    for (const StoredCertificate& stored : state.certificates) {
        const auto secret = stored.key ? secrets.find(*stored.key) : secrets.end();
        if (secret == secrets.end()) continue;
        const auto file = find_key_file(target, state, stored);
        if (!file) damaged(path_, "it has a key of no server");
        store_file(file->string(), secret->second.octets(), Readers::OwnerAlone);
        connection.run("UPDATE certificate SET key=? WHERE id=?",
                       {std::string_view(file->native()), stored.id});
    }
    image_ = copy.connection().image();
}

Database Backup::make_copy(const std::string& path) const {
    Database copy = Database::open_image(image_, path);
    // What was under way when it was taken is long ended, one way or the other.
    copy.connection().execute(
        "DROP TABLE IF EXISTS sealed_key; DELETE FROM journal_token; DELETE FROM journal_node; "
        "DELETE FROM journal; DELETE FROM journal_key; VACUUM");
    return copy;
}

void Backup::store_as(Writer& writer, const std::string& path, Existing existing) const {
    append_audit(writer, "restored", {{"backup", path_}});
    store_database(path, writer.connection().image(), existing);
}

void Backup::restore_as(const std::string& path) const {
    Database copy = make_copy(path);
    Writer writer(copy, "cluster restore", std::chrono::milliseconds(0));
    store_as(writer, path, Existing::Kept);
}

std::string Backup::restore_instead(const std::string& path) const {
    const std::string file = fs::canonical(path).string();
    Database copy = make_copy(file);
    Writer writer(copy, "cluster restore", std::chrono::milliseconds(0));
    if (!find_damage(file))
        throw Error(Errc::InUse, "restoring", path, "another process has put it right meanwhile: look at it");
    std::string kept = fmt::format("{}.damaged-{}", file, now_text());
    // A file stands at the path all the time: without one a cluster would be made anew. Not every file system
    // has links.
    std::error_code no_links;
    fs::create_hard_link(file, kept, no_links);
    if (no_links) fs::rename(file, kept);
    for (const std::string_view suffix : sqlite::kBeside) {
        const std::string from = file + std::string(suffix);
        if (fs::exists(from)) fs::rename(from, kept + std::string(suffix));
    }
    store_as(writer, file, Existing::Replaced);
    return kept;
}

void Backup::restore_into(Writer& writer) const {
    const Bytes today = Database::open_image(image_, path_).connection().image();  // in today's schema
    sqlite::Connection& connection = writer.connection();
    connection.attach("backup", today);
    try {
        sqlite::Transaction transaction(connection);
        const bool same_cluster = writer.database().find_parameter("ClusterName") == name_;
        for (auto table = kTables.rbegin(); table != kTables.rend(); ++table)
            if (*table != kPublications) connection.run(fmt::format("DELETE FROM main.{}", *table));
        // What was published since is still on phones: it stays known, but is no longer the cluster's last.
        connection.run(
            "DELETE FROM main.publication WHERE NOT ? OR id <= (SELECT coalesce(max(id), 0) FROM "
            "backup.publication)",
            {std::int64_t{same_cluster}});
        connection.run("UPDATE main.publication SET withdrawn=1");
        for (const std::string_view table : kTables)
            connection.run(fmt::format("INSERT INTO main.{0} SELECT * FROM backup.{0}", table));
        append_audit(writer, "restored", {{"backup", path_}});
        transaction.commit();
    } catch (...) {
        connection.run("DETACH backup");
        throw;
    }
    connection.run("DETACH backup");
}

}  // namespace ctlsign::cluster
