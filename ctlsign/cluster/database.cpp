#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/schema.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/sqlite.hpp>

namespace ctlsign::cluster {

namespace {

constexpr std::size_t kHolderSize = 512;
constexpr std::string_view kAdvice = "make it with: ctlsign cluster init";

void migrate(sqlite::Connection& connection, std::int64_t version) {
    sqlite::Transaction transaction(connection);
    for (auto next = static_cast<std::size_t>(version); next < kMigrations.size(); ++next)
        connection.execute(kMigrations.at(next));
    connection.execute(
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplicationId, kMigrations.size()));
    transaction.commit();
}

void prepare(sqlite::Connection& connection) {
    // Each commit is on the disk before it returns: a node is switched only when the journal says so.
    connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
}

}  // namespace

Database::Database(std::string path, std::unique_ptr<sqlite::Connection> connection)
    : path_(std::move(path)), connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database::~Database() = default;

Database Database::create(const std::string& path, std::string_view name, const Release& release) {
    // For its owner alone; what SQLite and Writer put beside it has its mode.
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        const int error = errno;
        throw Error(std::error_code(error, std::system_category()), "cluster init", path,
                    error == EEXIST ? "a cluster is made once: choose another file with --cluster"
                                    : "choose a folder that can be written");
    }
    ::close(file);
    auto connection = std::make_unique<sqlite::Connection>(path, sqlite::Connection::Access::Open, kAdvice);
    prepare(*connection);
    sqlite::Transaction transaction(*connection);
    migrate(*connection, 0);
    const auto set = [&](std::string_view parameter, std::string_view value) {
        connection->run("INSERT INTO processconfig VALUES(?, ?)", {parameter, value});
    };
    set("ClusterSecurityMode", "0");
    set("ClusterName", name);
    set("Release", release.text());
    set("RollbackToPre8", "False");
    transaction.commit();
    return Database(path, std::move(connection));
}

Database Database::open(const std::string& path) {
    return brought_up(path,
                      std::make_unique<sqlite::Connection>(path, sqlite::Connection::Access::Open, kAdvice));
}

Database Database::open_image(ByteView image, const std::string& path) {
    return brought_up(path, std::make_unique<sqlite::Connection>(image));
}

Database Database::brought_up(std::string path, std::unique_ptr<sqlite::Connection> connection) {
    const std::int64_t version = connection->integer("PRAGMA user_version");
    if (connection->integer("PRAGMA application_id") != kApplicationId)
        throw Error(Errc::Malformed, "open", path,
                    "this is no cluster's file: make one with ctlsign cluster init");
    if (version > static_cast<std::int64_t>(kMigrations.size()))
        throw Error(Errc::Malformed, "open", path, "a later ctlsign has written it: use that one");
    prepare(*connection);
    if (version < static_cast<std::int64_t>(kMigrations.size())) migrate(*connection, version);
    return Database(std::move(path), std::move(connection));
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
    lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (lock_ < 0)
        throw Error(std::error_code(errno, std::system_category()), "open", path, "check its permissions");
    // Whoever may change the database may wait for it. Only the lock's owner can say so.
    struct stat status {};
    if (::stat(database.path().c_str(), &status) == 0) (void)::fchmod(lock_, status.st_mode & 0666U);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        if (error == EINTR) continue;
        if (error == EWOULDBLOCK && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            continue;
        }
        std::string holder(kHolderSize, '\0');
        const ssize_t size = ::pread(lock_, holder.data(), holder.size(), 0);
        holder.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        ::close(lock_);
        if (error != EWOULDBLOCK)
            throw Error(std::error_code(error, std::system_category()), "flock", path, "");
        throw Error(Errc::InUse, "changing the cluster", database.path(),
                    fmt::format("{}: wait for it to end", holder));
    }
    const std::string self = fmt::format("process {} is at work ({})", ::getpid(), command);
    // For people alone: what holds is the lock.
    if (::ftruncate(lock_, 0) != 0 || ::pwrite(lock_, self.data(), self.size(), 0) < 0) {
        const int error = errno;
        ::close(lock_);
        throw Error(std::error_code(error, std::system_category()), "write", path, "");
    }
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
