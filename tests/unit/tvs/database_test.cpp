#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include <ctlsign/error.hpp>
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
    std::filesystem::resize_file(folder / "text", limits::kTvsDatabase + 1);  // sparse
    EXPECT_EQ(code_of_loading(folder / "text"), Errc::Oversized);
}

}  // namespace
}  // namespace ctlsign::tvs
