#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include <ctlsign/error.hpp>
#include <ctlsign/files/load.hpp>
#include <pkcs11/store.hpp>
#include <tests/support/code_of.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kLimit = 100'000;

class Store : public ::testing::Test {
  protected:
    std::string path(const std::string& name) const { return (folder_ / name).string(); }
    std::string text(const std::string& name) const {
        return std::string(as_text(load_file(path(name), kLimit).bytes));
    }
    void put(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
    std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator(folder_.path()))
            found.push_back(entry.path().filename());
        std::ranges::sort(found);
        return found;
    }

    testing::TemporaryFolder folder_;
};

TEST_F(Store, NewFileAndReplacedFile) {
    store_file(path("a"), as_bytes("one"));
    EXPECT_EQ(text("a"), "one");
    store_file(path("a"), as_bytes(""));
    EXPECT_EQ(text("a"), "");
    EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(Store, WhatMustBeNewReplacesNothing) {
    const auto store_new = [&](const std::string& target) {
        store_file(target, as_bytes("new"), Readers::AsTheUmaskSays, Existing::Kept);
    };
    store_new(path("a"));
    EXPECT_EQ(text("a"), "new");
    put("b", "old");
    EXPECT_THROW(store_new(path("b")), Error);
    // One that comes when everything is written is not replaced either.
    OutputFile late = OutputFile::open(path("c"), 3, Readers::AsTheUmaskSays, Existing::Kept);
    late.write(as_bytes("new"));
    put("c", "other");
    try {
        late.commit();
        FAIL() << "replaced";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), std::errc::file_exists);
    }
    EXPECT_EQ(text("b"), "old");
    EXPECT_EQ(text("c"), "other");
}

TEST_F(Store, PathWithoutFolderIsHere) {
    const fs::path here = fs::current_path();
    fs::current_path(folder_.path());
    store_file("bare", as_bytes("x"));
    fs::current_path(here);
    EXPECT_EQ(text("bare"), "x");
}

TEST_F(Store, KeepsTheModeOfAnExistingFile) {
    put("a", "old");
    ASSERT_EQ(::chmod(path("a").c_str(), 0640), 0);
    store_file(path("a"), as_bytes("new"));
    struct stat status {};
    ASSERT_EQ(::stat(path("a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_F(Store, NewFileHasTheModeOfTheUmask) {
    const mode_t before = ::umask(027);
    store_file(path("a"), as_bytes("new"));
    ::umask(before);
    struct stat status {};
    ASSERT_EQ(::stat(path("a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_F(Store, NewFileForItsOwnerAlone) {
    const mode_t before = ::umask(0);
    store_file(path("a"), as_bytes("new"), Readers::OwnerAtFirst);
    ::umask(before);
    struct stat status {};
    ASSERT_EQ(::stat(path("a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    // Who has opened it to others goes on sharing it.
    ASSERT_EQ(::chmod(path("a").c_str(), 0640), 0);
    store_file(path("a"), as_bytes("newer"), Readers::OwnerAtFirst);
    ASSERT_EQ(::stat(path("a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_F(Store, FileOfItsOwnerAloneWhateverItReplaces) {
    put("a", "first, and longer");
    ASSERT_EQ(::chmod(path("a").c_str(), 0644), 0);
    store_file(path("a"), as_bytes("second"), Readers::OwnerAlone);
    struct stat status {};
    ASSERT_EQ(::stat(path("a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    EXPECT_EQ(text("a"), "second");
    // It was there to be read alone; a link is replaced, not what it leads to.
    ASSERT_EQ(::chmod(path("a").c_str(), 0400), 0);
    fs::create_symlink("a", folder_ / "link");
    fs::create_symlink("nowhere", folder_ / "loose");
    for (const char* name : {"link", "loose"}) {
        EXPECT_THROW(store_file(path(name), as_bytes("new"), Readers::OwnerAlone, Existing::Kept), Error);
        EXPECT_TRUE(fs::is_symlink(folder_ / name));
        store_file(path(name), as_bytes("third"), Readers::OwnerAlone);
        EXPECT_FALSE(fs::is_symlink(folder_ / name));
    }
    EXPECT_EQ(text("a"), "second");
    store_file(path("a"), as_bytes("fourth"), Readers::OwnerAlone);
    EXPECT_EQ(text("a"), "fourth");
    EXPECT_EQ(names(), (std::vector<std::string>{"a", "link", "loose"}));
}

TEST_F(Store, FollowsLinksToTheTargetFile) {
    fs::create_directory(folder_ / "real");
    put("real/file", "old");
    fs::create_symlink("real/file", folder_ / "link");
    fs::create_symlink("link", folder_ / "chain");
    fs::create_symlink("real/absent", folder_ / "dangling");
    store_file(path("chain"), as_bytes("new"));
    store_file(path("dangling"), as_bytes("made"));
    EXPECT_EQ(text("real/file"), "new");
    EXPECT_EQ(text("real/absent"), "made");
    EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
    EXPECT_TRUE(fs::is_symlink(folder_ / "chain"));
    EXPECT_TRUE(fs::is_symlink(folder_ / "dangling"));
}

TEST_F(Store, RefusesWhatIsNoFile) {
    fs::create_symlink("loop", folder_ / "loop");
    ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
    put("file", "old");
    const auto refusal = [](const std::string& target) {
        return testing::code_of([&] { store_file(target, as_bytes("new")); });
    };
    EXPECT_EQ(refusal(folder_.path()), std::errc::is_a_directory);
    EXPECT_EQ(refusal(path("")), std::errc::is_a_directory);
    EXPECT_EQ(refusal(path("none/x")), std::errc::no_such_file_or_directory);
    EXPECT_EQ(refusal(path("file/x")), std::errc::not_a_directory);
    EXPECT_EQ(refusal(path("loop")), std::errc::too_many_symbolic_link_levels);
    EXPECT_EQ(refusal(path("pipe")), std::errc::invalid_argument);
    EXPECT_EQ(refusal("/dev/null"), std::errc::invalid_argument);
    EXPECT_EQ(refusal(path(std::string(300, 'x'))), std::errc::filename_too_long);
    EXPECT_EQ(text("file"), "old");
}

TEST_F(Store, LongestNameHasRoomForItsTemporary) {
    const std::string name(255, 'n');
    store_file(path(name), as_bytes("x"));
    store_file(path(name), as_bytes("y"));
    EXPECT_EQ(text(name), "y");
}

TEST_F(Store, OpenLeavesNothingBehind) {
    put("a", "old");
    { const OutputFile output = OutputFile::open(path("a"), 1000); }
    { const OutputFile output = OutputFile::open(path("b"), 1000); }
    EXPECT_EQ(names(), std::vector<std::string>{"a"});
    EXPECT_EQ(text("a"), "old");
}

TEST_F(Store, ReservedRoomIsCutToWhatWasWritten) {
    OutputFile::open(path("a"), 1000).store(as_bytes("short"));
    EXPECT_EQ(text("a"), "short");
}

TEST_F(Store, SweepsTheDeadAndSparesTheLiving) {
    put(".a.ctlsign-0", "dead");
    put(".a.ctlsign-1", "living");
    put(".a.ctlsign-9", "dead");
    put(".other.ctlsign-0", "of another target");
    ASSERT_EQ(::mkfifo(path(".a.ctlsign-2").c_str(), 0600), 0);
    fs::create_symlink("/etc/passwd", folder_ / ".a.ctlsign-3");
    const int living = ::open(path(".a.ctlsign-1").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(::flock(living, LOCK_EX), 0);
    store_file(path("a"), as_bytes("new"));
    EXPECT_EQ(names(), (std::vector<std::string>{".a.ctlsign-1", ".a.ctlsign-2", ".a.ctlsign-3",
                                                 ".other.ctlsign-0", "a"}));
    ::close(living);
    store_file(path("a"), as_bytes("newer"));
    EXPECT_EQ(names(), (std::vector<std::string>{".a.ctlsign-2", ".a.ctlsign-3", ".other.ctlsign-0", "a"}));
}

TEST_F(Store, SweepsAFolderOfTheDeadAlone) {
    for (const char* name : {"key", "key.ctlsign-0", ".key", ".key.ctlsign-0", ".other.ctlsign-3"})
        put(name, "x");
    const int living = ::open(path(".other.ctlsign-3").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(::flock(living, LOCK_EX), 0);
    remove_unfinished(folder_.path().string());
    ::close(living);
    EXPECT_EQ(names(), (std::vector<std::string>{".key", ".other.ctlsign-3", "key", "key.ctlsign-0"}));
}

TEST_F(Store, ManyWritersOfOneFileNeverMix) {
    const auto write = [&](char letter) {
        for (int i = 0; i < 50; ++i) store_file(path("a"), as_bytes(std::string(5000, letter)));
    };
    store_file(path("a"), as_bytes(std::string(5000, 'a')));
    std::vector<std::jthread> writers;
    for (const char letter : {'b', 'c', 'd'}) writers.emplace_back(write, letter);
    for (int i = 0; i < 200; ++i) {
        const std::string seen = text("a");
        ASSERT_EQ(seen, std::string(5000, seen.at(0)));
    }
    writers.clear();
    EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(Store, SameFileThroughLinks) {
    put("a", "x");
    put("b", "x");
    fs::create_symlink("a", folder_ / "link");
    fs::create_hard_link(folder_ / "a", folder_ / "hard");
    EXPECT_TRUE(same_file(path("a"), path("link")));
    EXPECT_TRUE(same_file(path("a"), path("hard")));
    EXPECT_FALSE(same_file(path("a"), path("b")));
    EXPECT_FALSE(same_file(path("a"), path("absent")));
}

TEST_F(Store, LoadsUpToTheLimit) {
    put("a", std::string(10'000, 'x'));
    put("empty", "");
    EXPECT_EQ(load_file(path("a"), 10'000).bytes.size(), 10'000U);
    EXPECT_TRUE(load_file(path("a"), kLimit).modified.has_value());
    EXPECT_TRUE(load_file(path("empty"), kLimit).bytes.empty());
    try {
        load_file(path("a"), 9'999);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::Oversized);
    }
    EXPECT_THROW(load_file("/dev/zero", 1000), Error);
    EXPECT_THROW(load_file(folder_.path(), kLimit), Error);
    EXPECT_THROW(load_file(path("absent"), kLimit), Error);
}

TEST_F(Store, LoadsAPipe) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    std::jthread writer([&] {
        const std::string block(1000, 'p');
        for (int i = 0; i < 20; ++i) {
            ASSERT_EQ(::write(ends[1], block.data(), block.size()), 1000);
        }
        ::close(ends[1]);
    });
    const LoadedFile file = load_descriptor(ends[0], "pipe", kLimit);
    EXPECT_EQ(file.bytes.size(), 20'000U);
    EXPECT_FALSE(file.modified.has_value());
    ::close(ends[0]);
}

}  // namespace
}  // namespace ctlsign
