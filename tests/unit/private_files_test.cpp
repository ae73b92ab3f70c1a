#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <pkcs11/error.hpp>
#include <pkcs11/private_files.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign {
namespace {

namespace fs = std::filesystem;

unsigned mode_of(const fs::path& path) {
    struct stat there {};
    return stat(path.c_str(), &there) == 0 ? there.st_mode & 07777U : 0;
}

class PrivateFiles : public ::testing::Test {
  protected:
    PrivateFiles() : before_(umask(0)) {}
    ~PrivateFiles() override { umask(before_); }
    const testing::TemporaryFolder folder_;

  private:
    mode_t before_;
};

TEST_F(PrivateFiles, EveryFolderThatIsMadeIsTheUsersAlone) {
    for (const char* name : {"a/b/c", "d/e/"}) make_private_folder(folder_ / name);
    for (const char* name : {"a", "a/b", "a/b/c", "d", "d/e"})
        EXPECT_EQ(mode_of(folder_ / name), 0700U) << name;
    EXPECT_NO_THROW(make_private_folder(folder_ / "a/b"));
}

TEST_F(PrivateFiles, AFileInTheWayIsSaid) {
    std::ofstream(folder_ / "file") << "x";
    for (const char* name : {"file", "file/below"}) {
        try {
            make_private_folder(folder_ / name);
            FAIL() << name;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), std::errc::not_a_directory) << e.what();
        }
    }
}

}  // namespace
}  // namespace ctlsign
