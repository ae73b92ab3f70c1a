#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>

#include <tests/fuzz/targets.hpp>
#include <tests/support/data.hpp>

// Every input of the corpus, seeds and what once broke something, in each build.
namespace ctlsign::fuzz {
namespace {

using Target = std::pair<const char*, std::function<void(ByteView)>>;

class Replay : public ::testing::TestWithParam<Target> {};

TEST_P(Replay, NothingOfTheCorpusBreaksIt) {
    const auto& [name, target] = GetParam();
    std::size_t count = 0;
    for (const auto& file :
         std::filesystem::directory_iterator(std::string(CTLSIGN_FUZZ_CORPUS) + "/" + name)) {
        std::ifstream in(file.path(), std::ios::binary);
        const Bytes input(std::istreambuf_iterator<char>(in), {});
        SCOPED_TRACE(file.path().string());
        target(input);
        // The same cut and changed: a cheap fuzzer for builds that have none.
        for (std::size_t size = 0; size < input.size(); size += 1 + input.size() / 64)
            target(ByteView(input).first(size));
        Bytes changed = input;
        for (std::size_t i = 0; i < changed.size(); i += 1 + changed.size() / 128) {
            changed[i] = static_cast<std::uint8_t>(changed[i] ^ 0x81U);
            target(changed);
        }
        ++count;
    }
    EXPECT_GE(count, 3U) << "a corpus has at least some seeds";
}

INSTANTIATE_TEST_SUITE_P(Targets, Replay,
                         ::testing::Values(Target{"list", list}, Target{"header", header},
                                           Target{"record", record}, Target{"sgn", sgn},
                                           Target{"certificate", certificate}, Target{"uri", uri},
                                           Target{"manifest", manifest}, Target{"tvs_message", tvs_message},
                                           Target{"inventory", inventory}, Target{"models", models},
                                           Target{"quirks", quirks}, Target{"profile", profile},
                                           Target{"fault", fault}, Target{"introductions", introductions},
                                           Target{"key_file", key_file}, Target{"plan", plan},
                                           Target{"http_answer", http_answer},
                                           Target{"sftp_message", sftp_message}),
                         [](const auto& target) { return std::string(target.param.first); });

}  // namespace
}  // namespace ctlsign::fuzz
