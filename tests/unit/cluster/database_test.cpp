#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/backup.hpp>
#include <ctlsign/cluster/database.hpp>
#include <ctlsign/cluster/nodes.hpp>
#include <ctlsign/cluster/schema.hpp>
#include <ctlsign/cluster/services.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <tests/support/cluster_state.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/temporary_folder.hpp>
#include <tests/support/wait_until.hpp>

namespace ctlsign::cluster {
namespace {

using namespace ctlsign::testing;
constexpr std::chrono::milliseconds kNow{0};

class DatabaseTest : public ::testing::Test {
  private:
    TemporaryFolder folder_;

  protected:
    std::string path_ = (folder_ / "cluster.db").string();
    Database database_ = Database::create(path_, "krakow", Release::parse("10.5(1)").value());
};

TEST_F(DatabaseTest, OneAdministratorAtATime) {
    {
        const Writer first(database_, "first", kNow);
        Database again = Database::open(path_);
        EXPECT_EQ(again.load().name, "krakow") << "readers are not held up";
        EXPECT_EQ(code_of([&] { Writer(again, "second", std::chrono::milliseconds(50)); }), Errc::InUse);
    }
    Writer(database_, "second", kNow);
}

TEST_F(DatabaseTest, OneClusterHasOneLockWhateverItsPath) {
    namespace fs = std::filesystem;
    const fs::path folder = fs::path(path_).parent_path();
    fs::create_directory_symlink(folder, folder / "folder");
    fs::create_symlink("cluster.db", folder / "file.db");
    const Writer first(database_, "first", kNow);
    for (const fs::path& path : {folder / "folder" / "cluster.db", folder / "file.db",
                                 folder / "folder" / "file.db", folder / "." / "cluster.db"}) {
        Database again = Database::open(path.string());
        EXPECT_EQ(code_of([&] { Writer(again, "second", kNow); }), Errc::InUse) << path;
        EXPECT_FALSE(fs::exists(folder / "file.db.lock"));
    }
}

TEST_F(DatabaseTest, AnotherFileIsNoCluster) {
    EXPECT_EQ(code_of([&] { Database::create(path_, "again", Release::parse("10.5(1)").value()); }),
              std::errc::file_exists);
    const std::string other = path_ + ".other";
    sqlite::Connection(other, sqlite::Connection::Access::Create, "").execute("CREATE TABLE something(id)");
    EXPECT_EQ(code_of([&] { Database::open(other); }), Errc::Malformed);
    std::ofstream(path_ + ".text") << std::string(5000, 'x');
    EXPECT_EQ(code_of([&] { Database::open(path_ + ".text"); }), Errc::Malformed);
    EXPECT_EQ(code_of([&] { Database::open(path_ + ".none"); }), std::errc::no_such_file_or_directory);
    database_.connection().execute("PRAGMA user_version=999");
    EXPECT_EQ(code_of([&] { Database::open(path_); }), Errc::Malformed);
}

TEST_F(DatabaseTest, AnEmptyFileIsNoCluster) {
    const std::string empty = path_ + ".empty";
    std::ofstream(empty).flush();
    EXPECT_EQ(code_of([&] { Database::open(empty); }), Errc::Malformed);
    Database::create(empty, "krakow", Release::parse("10.5(1)").value());
    EXPECT_EQ(Database::open(empty).load().name, "krakow");
}

TEST_F(DatabaseTest, AFileThatLacksATableIsDamaged) {
    EXPECT_TRUE(database_.is_whole());
    database_.connection().execute("DROP TABLE token");
    EXPECT_EQ(code_of([&] { Database::open(path_).load(); }), Errc::Malformed);
}

TEST_F(DatabaseTest, AViewInPlaceOfATableIsNotRead) {
    database_.connection().execute(
        "DROP TABLE token;"
        "CREATE VIEW token AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS id, i AS label, i AS serial, i AS der, i AS state FROM n");
    EXPECT_EQ(code_of([&] { Database::open(path_).load(); }), Errc::Malformed);
    const std::string file = path_ + ".backup";
    backup(database_, file);
    EXPECT_EQ(code_of([&] { Backup::load(file); }), Errc::Malformed);
}

TEST_F(DatabaseTest, AReplacedCertificateIsUnsettledUntilPhonesKnowOfIt) {
    Writer writer(database_, "test", kNow);
    add_node(writer, krakow_state("10.5(1)").nodes[0]);
    const Node publisher = database_.load().nodes.at(0);
    const auto unsettled = [&] {
        return database_.load().find_own(Store::CallManager, publisher)->settling != Settling::Settled;
    };
    put_own_certificate(writer, Store::CallManager, publisher, load_certificate(krakow::kPublisher + ".pem"),
                        std::nullopt);
    EXPECT_FALSE(unsettled()) << "a first one is no change";
    put_own_certificate(writer, Store::CallManager, publisher,
                        load_certificate(krakow::kRegenerated + ".pem"), std::nullopt);
    EXPECT_TRUE(unsettled());
    writer.set_parameter("ClusterSecurityMode", "1");
    clear_restarts(writer);
    EXPECT_TRUE(unsettled()) << "in mixed mode a CTL tells phones of it";
    const Bytes without = read_data("krakow/CTLFile-tokenless.tlv");
    publish_certificates(writer, ByteView(without));
    clear_restarts(writer);
    EXPECT_TRUE(unsettled()) << "that CTL does not hold it";
    writer.set_parameter("ClusterSecurityMode", "0");
    clear_restarts(writer);
    EXPECT_FALSE(unsettled());

    writer.set_parameter("ClusterSecurityMode", "1");
    put_own_certificate(writer, Store::CallManager, publisher, load_certificate(krakow::kPublisher + ".pem"),
                        std::nullopt);
    publish_certificates(writer, ByteView(without));
    EXPECT_TRUE(unsettled()) << "phones have not fetched the CTL";
    clear_restarts(writer);
    EXPECT_FALSE(unsettled());
}

TEST_F(DatabaseTest, WhatNoCtlHoldsIsSettledByAResetOfThePhones) {
    Writer writer(database_, "test", kNow);
    add_node(writer, krakow_state("10.5(1)").nodes[0]);
    const Node publisher = database_.load().nodes.at(0);
    writer.set_parameter("ClusterSecurityMode", "1");
    for (const std::string& file : {krakow::kPublisher, krakow::kRegenerated})
        put_own_certificate(writer, Store::Tvs, publisher, load_certificate(file + ".pem"), std::nullopt);
    EXPECT_EQ(database_.load().find_own(Store::Tvs, publisher)->settling, Settling::Changed);
    clear_restarts(writer);
    EXPECT_EQ(database_.load().find_own(Store::Tvs, publisher)->settling, Settling::Settled);
}

void make_file_of_version_one(const std::string& path) {
    sqlite::Connection connection(path, sqlite::Connection::Access::Create, "");
    connection.execute("PRAGMA journal_mode=WAL");
    connection.execute(kMigrations.front());
    connection.execute("PRAGMA application_id=" + std::to_string(kApplicationId) + "; PRAGMA user_version=1");
}

TEST_F(DatabaseTest, AFileOfVersionOneIsBroughtUp) {
    const std::string old = path_ + ".old";
    make_file_of_version_one(old);
    {
        sqlite::Connection connection(old, sqlite::Connection::Access::Open, "");
        connection.execute(
            "INSERT INTO processconfig VALUES('ClusterName','krakow'),('Release','10.5(1)'),"
            "('ClusterSecurityMode','1'),('RollbackToPre8','False');"
            "INSERT INTO node "
            "VALUES(1,'pub',x'0a000001',1,2,'/pub','',NULL),(2,'sub',x'0a000002',0,2,'/sub','',NULL);"
            "INSERT INTO publication VALUES(1,0,'update','tokenless',1,'','','',x'00')");
        const auto known = load_certificate(krakow::kPublisher + ".pem");
        const auto later = load_certificate(krakow::kSubscriber + ".pem");
        for (const auto& [node, certificate] : {std::pair{1, known}, std::pair{2, later}})
            connection.run("INSERT INTO certificate VALUES(NULL,'CallManager',?,'','',0,?,NULL,?)",
                           {std::int64_t{node}, certificate.der(), std::int64_t{node - 1}});
    }
    const Database database = Database::open(old);
    const State state = database.load();
    ASSERT_EQ(state.certificates.size(), 2U);
    EXPECT_EQ(state.certificates[0].settling, Settling::Settled);
    EXPECT_EQ(state.certificates[1].settling, Settling::Changed) << "it came after the last CTL";
    EXPECT_EQ(state.last.value().id, 1);
    EXPECT_EQ(database.connection().integer("PRAGMA user_version"),
              static_cast<std::int64_t>(kMigrations.size()));
}

// How often a thread has slept.
int count_sleeps(pid_t thread) {
    std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
    int count = 0;
    for (std::string word; status >> word;)
        if (word == "voluntary_ctxt_switches:") status >> count;
    return count;
}

TEST_F(DatabaseTest, AFileIsBroughtUpOnceWhoeverElseIsAboutTo) {
    const std::string old = path_ + ".old";
    make_file_of_version_one(old);
    sqlite::Connection first(old, sqlite::Connection::Access::Open, "");
    first.execute("BEGIN IMMEDIATE");
    for (std::size_t next = 1; next < kMigrations.size(); ++next) first.execute(kMigrations.at(next));
    first.execute("PRAGMA user_version=" + std::to_string(kMigrations.size()));
    std::atomic<pid_t> waiting = 0;
    const std::jthread second([&] {
        waiting = ::gettid();
        EXPECT_NO_THROW(Database::open(old));
    });
    // It has read the version of before when it waits for the lock, where SQLite sleeps again and again.
    wait_until([&] { return waiting != 0 && count_sleeps(waiting) > 8; });
    first.execute("COMMIT");
}

TEST_F(DatabaseTest, WhatSomebodyElseHasPutRightIsNotPutAside) {
    backup(database_, path_ + ".backup");
    EXPECT_EQ(code_of([&] { Backup::load(path_ + ".backup").restore_instead(path_); }), Errc::InUse);
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(path_).parent_path()))
        EXPECT_EQ(entry.path().string().find("damaged"), std::string::npos) << entry.path();
}

TEST_F(DatabaseTest, WhatIsNotCommittedIsUndone) {
    Writer writer(database_, "test", kNow);
    {
        const sqlite::Transaction transaction(database_.connection());
        writer.set_parameter("ClusterSecurityMode", "1");
    }
    EXPECT_EQ(database_.load().mode, Mode::NonSecure);
}

TEST_F(DatabaseTest, ACertificateIsCopiedWhereUnifiedCmCopiesIt) {
    Writer writer(database_, "test", kNow);
    add_node(writer, krakow_state("10.5(1)").nodes[0]);
    const Node publisher = database_.load().nodes.at(0);
    const auto capf = load_certificate(krakow::kCapf + ".pem");
    put_own_certificate(writer, Store::Capf, publisher, capf, std::nullopt);
    put_own_certificate(writer, Store::Capf, publisher, capf, "/keys/capf.pem");
    const State state = database_.load();
    EXPECT_EQ(state.certificates.size(), 3U);
    EXPECT_TRUE(state.holds(Store::CapfTrust, capf) && state.holds(Store::CallManagerTrust, capf));
    EXPECT_EQ(state.find_own(Store::Capf, publisher)->key, "/keys/capf.pem");
    put_own_certificate(writer, Store::Capf, publisher, load_certificate(krakow::kPublisher + ".pem"),
                        std::nullopt);
    EXPECT_TRUE(database_.load().holds(Store::CapfTrust, capf)) << "the old one stays beside the new one";
}

TEST_F(DatabaseTest, TheAuditIsAChain) {
    Writer writer(database_, "test", kNow);
    for (int number = 1; number < 5; ++number)
        append_audit(writer, "event", {{"step", std::to_string(number)}});
    const AuditVerdict whole = verify_audit(database_, std::nullopt);
    EXPECT_EQ(whole.entries, 5);
    EXPECT_FALSE(whole.broken);
    EXPECT_THROW(database_.connection().execute("DELETE FROM audit WHERE number=5"), std::logic_error);
    EXPECT_THROW(database_.connection().execute("UPDATE audit SET line='{}' WHERE number=5"),
                 std::logic_error);
    // Somebody with another program takes the triggers away first.
    database_.connection().execute("DROP TRIGGER audit_is_kept; DROP TRIGGER audit_stands");
    database_.connection().execute("DELETE FROM audit WHERE number=5");
    EXPECT_FALSE(verify_audit(database_, std::nullopt).broken);
    EXPECT_FALSE(verify_audit(database_, whole.head).head_found)
        << "the noted head tells that one was cut off";
    database_.connection().execute("UPDATE audit SET line=replace(line, '\"1\"', '\"7\"') WHERE number=2");
    EXPECT_EQ(verify_audit(database_, std::nullopt).broken, 2);
    for (const char* line : {"{}", "[]", "nothing", R"({"previous":1,"number":"two"})"}) {
        database_.connection().run("UPDATE audit SET line=? WHERE number=2", {std::string_view(line)});
        EXPECT_EQ(verify_audit(database_, std::nullopt).broken, 2) << line;
    }
}

}  // namespace
}  // namespace ctlsign::cluster
