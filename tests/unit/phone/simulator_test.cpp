#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include <ctlsign/error.hpp>
#include <ctlsign/simulator/simulator.hpp>
#include <ctlsign/simulator/source.hpp>
#include <pkcs11/store.hpp>
#include <tests/support/data.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::simulator {
namespace {

using ::testing::HasSubstr;

TEST(Simulator, PassesOverWhatIsNoList) {
    const testing::TemporaryFolder folder;
    const std::filesystem::path lists = folder.path() / "lists";
    std::filesystem::create_directory(lists);
    store_file((lists / "known.tlv").string(), testing::read_data("krakow/CTLFile-tokens.tlv"));
    for (const char* junk : {"junk", "junk.tlv~", ".junk.tlv", ".tlv"}) std::ofstream(lists / junk) << "junk";
    EXPECT_EQ(State::load(folder.path().string()).lists.entries().size(), 1U);

    std::ofstream(lists / "cut.tlv") << "junk";
    try {
        State::load(folder.path().string());
        ADD_FAILURE() << "a list that cannot be read was passed over";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("cut.tlv"));
    }
}

TEST(Source, WhatTheCallerThrowsIsNoFailedFetch) {
    const testing::TemporaryFolder folder;
    store_file((folder.path() / "file").string(), Bytes{1});
    asio::io_context io;
    int calls = 0;
    Source::open(io, folder.path().string())->fetch("file", [&](const Fetched& fetched) {
        ++calls;
        EXPECT_EQ(fetched.octets, Bytes{1});
        throw Error(Errc::Malformed, "taking", "file", "");
    });
    EXPECT_THROW(io.run(), Error);
    EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace ctlsign::simulator
