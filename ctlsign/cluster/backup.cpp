#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/schema.hpp>
#include <ctlsign/cluster/sqlite.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/store.hpp>
#include <pkcs11/private_files.hpp>

namespace ctlsign::cluster {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "ctlsign cluster backup 1\n";
constexpr std::size_t kHashSize = 32;
constexpr std::size_t kMaxBackup = std::size_t{1} << 30U;
constexpr std::size_t kKept = 20;
// All that a backup brings back; the audit goes on. Those that others refer to come first.
constexpr std::array kTables{"processconfig", "node", "certificate", "token", "publication", "restart"};

// A private folder that goes with the object.
class Scratch {
  public:
    Scratch() {
        std::string pattern = (fs::temp_directory_path() / "ctlsign-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw Error(std::error_code(errno, std::system_category()), "mkdtemp", pattern, "");
        folder_ = pattern;
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    std::string file() const { return (folder_ / "image").string(); }

  private:
    fs::path folder_;
};

Bytes hash_of(ByteView image) {
    const std::array<ByteView, 1> parts{image};
    return compute_digest(Digest::Sha256, parts);
}

[[noreturn]] void damaged(const std::string& path, std::string_view why) {
    throw Error(Errc::Malformed, "reading the backup", path, why);
}

std::string now_text() {
    const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    return std::to_string(now.time_since_epoch().count());
}

}  // namespace

void backup(const Database& database, const std::string& path) {
    const Scratch scratch;
    database.connection().run("VACUUM INTO ?", {std::string_view(scratch.file())});
    const Bytes image = load_file(scratch.file(), kMaxBackup).bytes;
    const Bytes hash = hash_of(image);
    std::string content(kMark);
    content += as_text(hash);
    content += as_text(image);
    write_private_file(path, content);
}

std::string backup_before_change(const Database& database) {
    const fs::path folder = database.path() + ".backups";
    make_private_folder(folder);
    const fs::path path = folder / (now_text() + ".backup");
    backup(database, path.string());
    std::vector<fs::path> kept;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".backup") kept.push_back(entry.path());
    std::ranges::sort(kept);
    for (std::size_t number = 0; number + kKept < kept.size(); ++number) fs::remove(kept[number]);
    return path.string();
}

Backup Backup::load(const std::string& path) {
    Backup backup;
    backup.path_ = path;
    const Bytes content = load_file(path, kMaxBackup).bytes;
    const ByteView octets(content);
    if (!as_text(octets).starts_with(kMark)) damaged(path, "this is no backup of a cluster");
    if (octets.size() < kMark.size() + kHashSize) damaged(path, "it is cut off: take another backup");
    const ByteView image = octets.subspan(kMark.size() + kHashSize);
    if (!equal(octets.subspan(kMark.size(), kHashSize), hash_of(image)))
        damaged(path, "it is damaged: take another backup");
    backup.image_.assign(image.begin(), image.end());
    // Whether it opens and is whole, brought to the schema of this program.
    const Scratch scratch;
    store_file(scratch.file(), image);
    const Database database = Database::open(scratch.file());
    Statement check = database.connection().query("PRAGMA integrity_check");
    if (!check.step() || check.text(0) != "ok") damaged(path, "its database is damaged: take another backup");
    backup.name_ = database.load().name;
    return backup;
}

void Backup::restore_as(const std::string& path) const {
    if (fs::exists(path))
        throw Error(std::make_error_code(std::errc::file_exists), "restoring", path, "choose another file");
    store_file(path, image_);
    Database database = Database::open(path);
    Writer writer(database, "cluster restore", std::chrono::milliseconds(0));
    append_audit(writer, "restored", {{"backup", path_}});
}

void Backup::restore_into(Writer& writer) const {
    const Scratch scratch;
    store_file(scratch.file(), image_);
    { Database::open(scratch.file()); }
    Connection& connection = writer.connection();
    connection.run("ATTACH ? AS backup", {std::string_view(scratch.file())});
    try {
        Transaction transaction(connection);
        for (auto table = kTables.rbegin(); table != kTables.rend(); ++table)
            connection.run(fmt::format("DELETE FROM main.{}", *table));
        for (const char* table : kTables)
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
