#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/schema.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/limits.hpp>
#include <pkcs11/descriptor.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::size_t kHolderSize = 512;
constexpr std::string_view kAdvice = "make it with: ctlsign cluster init";

[[noreturn]] void no_cluster(const std::string& path) {
    throw Error(Errc::Malformed, "open", path,
                "this is no cluster's file: make one with ctlsign cluster init");
}

void migrate(sqlite::Connection& connection) {
    sqlite::Transaction transaction(connection);
    // Another process may have come first.
    const std::int64_t version = connection.integer("PRAGMA user_version");
    for (auto next = static_cast<std::size_t>(version); next < kMigrations.size(); ++next)
        connection.execute(kMigrations.at(next));
    connection.execute(
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplicationId, kMigrations.size()));
    transaction.commit();
}

// Where PATH leads to, as SQLite follows it.
std::string followed(const std::string& path) {
    std::error_code failed;
    const auto real = std::filesystem::weakly_canonical(path, failed);
    return failed ? path : real.string();
}

// Why the file at PATH, or what SQLite keeps beside it, cannot be written; 0 when it can, or is not there.
int find_write_error(const std::string& path) {
    if (::access(path.c_str(), F_OK) != 0) return 0;
    const std::filesystem::path file = followed(path);
    for (const auto& place : {file, file.parent_path()})
        if (::access(place.c_str(), W_OK) != 0) return errno;
    return 0;
}

void prepare(sqlite::Connection& connection) {
    // Each commit is on the disk before it returns: a node is switched only when the journal says so.
    connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
}

}  // namespace

void store_database(const std::string& path, ByteView image, Existing existing) {
    OutputFile output = OutputFile::open(path, image.size(), Readers::OwnerAtFirst, existing);
    // A log of another file would be taken for its own.
    for (const std::string_view suffix : sqlite::kBeside) remove_file(followed(path) + std::string(suffix));
    output.store(image);
}

Database::Database(std::string path, std::unique_ptr<sqlite::Connection> connection)
    : path_(std::move(path)), connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database::~Database() = default;

Database Database::create(const std::string& path, std::string_view name, const Release& release) {
    Database made(path,
                  std::make_unique<sqlite::Connection>(":memory:", sqlite::Connection::Access::Create, ""));
    migrate(*made.connection_);
    Writer writer(made, "cluster init", std::chrono::milliseconds(0));
    // An empty file is what a process that was killed may have left: nothing is lost with it.
    std::error_code none;
    if (std::filesystem::exists(path) && (std::filesystem::file_size(path, none) != 0 || none))
        throw Error(std::make_error_code(std::errc::file_exists), "cluster init", path,
                    "a cluster is made once: choose another file with --cluster");
    const auto set = [&](std::string_view parameter, std::string_view value) {
        made.connection_->run("INSERT INTO processconfig VALUES(?, ?)", {parameter, value});
    };
    set("ClusterSecurityMode", "0");
    set("ClusterName", name);
    set("Release", release.text());
    set("RollbackToPre8", "False");
    append_audit(writer, "cluster-made", {{"cluster", std::string(name)}, {"release", release.text()}});
    const std::string file = followed(path);
    remove_file(file);
    store_database(file, made.connection_->image(), Existing::Kept);
    return open(path);
}

Database Database::open(const std::string& path) {
    if (const int error = find_write_error(path))
        throw Error(std::error_code(error, std::system_category()), "open", path,
                    "the cluster's file and its folder must be ones that can be written");
    return brought_up(path,
                      std::make_unique<sqlite::Connection>(path, sqlite::Connection::Access::Open, kAdvice));
}

Database Database::open_to_read(const std::string& path) {
    if (find_write_error(path) == 0) return open(path);
    const std::string file = followed(path);
    std::error_code none;
    const auto size_of_log = [&] {
        const auto size = std::filesystem::file_size(file + std::string(sqlite::kBeside.front()), none);
        return none ? 0 : size;
    };
    if (std::filesystem::file_size(file, none) == 0 && !none && size_of_log() == 0) no_cluster(path);
    try {
        sqlite::Connection connection(path, sqlite::Connection::Access::Read, kAdvice);
        connection.integer("PRAGMA user_version");
        return open_image(connection.image(), path);
    } catch (const Error&) {
        // SQLite wants to write even to read, for the sake of others. Where no log is left there are none.
        if (size_of_log() != 0) throw;
    }
    return open_image(load_file(path, limits::kBackup).bytes, path);
}

Database Database::open_image(ByteView image, const std::string& path) {
    return brought_up(path, std::make_unique<sqlite::Connection>(image));
}

Database Database::brought_up(std::string path, std::unique_ptr<sqlite::Connection> connection) {
    const std::int64_t version = connection->integer("PRAGMA user_version");
    if (connection->integer("PRAGMA application_id") != kApplicationId) no_cluster(path);
    if (version > static_cast<std::int64_t>(kMigrations.size()))
        throw Error(Errc::Malformed, "open", path, "a later ctlsign has written it: use that one");
    prepare(*connection);
    if (version < static_cast<std::int64_t>(kMigrations.size())) migrate(*connection);
    return Database(std::move(path), std::move(connection));
}

bool Database::is_whole() const {
    sqlite::Statement check = connection_->query("PRAGMA integrity_check");
    return check.step() && check.text(0) == "ok";
}

std::optional<std::string> Database::find_parameter(std::string_view name) const {
    sqlite::Statement row =
        connection_->query("SELECT paramvalue FROM processconfig WHERE paramname=?", {name});
    if (!row.step()) return std::nullopt;
    return row.text(0);
}

Writer::Writer(Database& database, std::string_view command, std::chrono::milliseconds patience)
    : database_(database) {
    // Beside the database: SQLite's own locks are lost when any descriptor of the database is closed.
    // Whatever links lead to the database, it has one lock.
    const std::string path = std::filesystem::weakly_canonical(database.path()).string() + ".lock";
    Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!lock)
        throw Error(std::error_code(errno, std::system_category()), "open", path,
                    "the cluster's file needs a folder that can be written");
    // Whoever may change the database may wait for it. Only the lock's owner can say so.
    struct stat status {};
    if (::stat(database.path().c_str(), &status) == 0) (void)::fchmod(lock.get(), status.st_mode & 0666U);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        if (error == EINTR) continue;
        if (error == EWOULDBLOCK && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            continue;
        }
        std::string holder(kHolderSize, '\0');
        const ssize_t size = ::pread(lock.get(), holder.data(), holder.size(), 0);
        holder.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        if (error != EWOULDBLOCK)
            throw Error(std::error_code(error, std::system_category()), "flock", path, "");
        throw Error(Errc::InUse, "changing the cluster", database.path(),
                    fmt::format("{}: wait for it to end", holder));
    }
    const std::string self = fmt::format("process {} is at work ({})", ::getpid(), command);
    // For people alone: what holds is the lock.
    if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), self.data(), self.size(), 0) < 0)
        throw Error(std::error_code(errno, std::system_category()), "write", path, "");
    lock_ = lock.release();
}

Writer::~Writer() {
    ::close(lock_);
}

void Writer::set_parameter(std::string_view name, std::string_view value) {
    connection().run(
        "INSERT INTO processconfig VALUES(?, ?) ON CONFLICT DO UPDATE SET paramvalue=excluded.paramvalue",
        {name, value});
}

}  // namespace ctlsign::cluster
