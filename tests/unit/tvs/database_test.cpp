#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include <ctlsign/error.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/limits.hpp>
#include <ctlsign/tvs/database.hpp>
#include <tests/support/krakow.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::tvs {
namespace {

using testing::load_certificate;

std::error_code code_of_loading(const std::filesystem::path& path) {
    try {
        Database::load(path.string());
    } catch (const Error& error) {
        return error.code();
    }
    return {};
}

TEST(Database, LoadsWhatWasStored) {
    const testing::TemporaryFolder folder;
    const std::string path = (folder / "tvs.db").string();
    DatabaseEntry entry;
    entry.certificate = load_certificate(testing::krakow::kPublisher + ".pem");
    entry.roles = {Role::Sast, Role::CcmTftp};
    store_database(path, std::vector{entry});
    const Database loaded = Database::load(path);
    EXPECT_TRUE(loaded.problems.empty());
    ASSERT_EQ(loaded.entries.size(), 1U);
    EXPECT_EQ(loaded.entries.front().certificate, entry.certificate);
    EXPECT_EQ(loaded.entries.front().roles, entry.roles);
}

TEST(Database, SaysWhyAFileCannotBeLoaded) {
    const testing::TemporaryFolder folder;
    EXPECT_EQ(code_of_loading(folder / "absent"), std::errc::no_such_file_or_directory);
    EXPECT_EQ(code_of_loading(folder.path()), std::errc::is_a_directory);
    std::ofstream(folder / "text") << "no database";
    EXPECT_EQ(code_of_loading(folder / "text"), Errc::Malformed);
}

TEST(Database, IsReadUpToALimit) {
    const testing::TemporaryFolder folder;
    const std::string path = (folder / "tvs.db").string();
    store_database(path, {});
    constexpr std::size_t kPageSize = 4096, kPageCountAt = 28;  // of the file format
    const std::size_t pages = limits::kTvsDatabase / kPageSize + 1;
    std::filesystem::resize_file(path, pages * kPageSize);  // sparse
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(kPageCountAt);
    for (const unsigned shift : {24U, 16U, 8U, 0U}) file.put(static_cast<char>(pages >> shift));
    file.close();
    EXPECT_EQ(code_of_loading(path), Errc::Oversized);
}

TEST(Database, RunsNoStatementOfTheFile) {
    const testing::TemporaryFolder folder;
    const std::string path = (folder / "tvs.db").string();
    sqlite::Connection(path, sqlite::Connection::Access::Create, "")
        .execute(
            "CREATE VIEW certificates AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT i AS certificate_hash, i AS certificate, i AS roles, i AS ttl FROM n");
    EXPECT_EQ(code_of_loading(path), Errc::Malformed);
}

}  // namespace
}  // namespace ctlsign::tvs
