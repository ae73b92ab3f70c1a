#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include <pkcs11/pin.hpp>

namespace ctlsign::pkcs11 {
namespace {

static_assert(!std::is_copy_constructible_v<Pin> && !std::is_copy_assignable_v<Pin>);

#ifndef CTLSIGN_INSTRUMENTED  // sanitizers keep freed memory and do not lock any

// The secret, each character turned by one, so that the program itself does not hold it.
constexpr const char* kTurned = "[r8$qjo.nbslfs.2:g5";

Pin make_pin(const std::string& turned_text) {
    std::vector<char> clear(turned_text.begin(), turned_text.end());
    for (char& c : clear) c = static_cast<char>(c - 1);
    return Pin::take(clear);
}

struct Mapping {
    std::uintptr_t begin = 0, end = 0;
    bool readable = false;
    bool not_dumped = false;
    bool locked = false;
};

std::vector<Mapping> read_mappings() {
    std::vector<Mapping> mappings;
    std::ifstream smaps("/proc/self/smaps");
    for (std::string line; std::getline(smaps, line);) {
        Mapping mapping;
        char permissions[5] = {};
        if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s", &mapping.begin, &mapping.end,
                        permissions) == 3) {
            mapping.readable = permissions[0] == 'r';
            mappings.push_back(mapping);
        } else if (line.starts_with("VmFlags:") && !mappings.empty()) {
            mappings.back().not_dumped = line.find(" dd") != std::string::npos;
            mappings.back().locked = line.find(" lo") != std::string::npos;
        }
    }
    return mappings;
}

// How often the secret stands in memory that a core file would hold. Searches for the turned text turned
// back, octet by octet.
int count_in_dumpable_memory(const std::string& turned_text) {
    int found = 0;
    const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    for (const Mapping& mapping : read_mappings()) {
        if (!mapping.readable || mapping.not_dumped) continue;
        std::vector<char> chunk(1U << 16U);
        for (std::uintptr_t at = mapping.begin; at < mapping.end; at += chunk.size() - turned_text.size()) {
            const auto want = std::min<std::uintptr_t>(chunk.size(), mapping.end - at);
            const ssize_t got = pread(memory, chunk.data(), want, static_cast<off_t>(at));
            if (got < static_cast<ssize_t>(turned_text.size())) break;
            for (ssize_t i = 0; i + static_cast<ssize_t>(turned_text.size()) <= got; ++i) {
                std::size_t k = 0;
                while (k < turned_text.size() &&
                       chunk[static_cast<std::size_t>(i) + k] == static_cast<char>(turned_text[k] - 1))
                    ++k;
                if (k == turned_text.size()) ++found;
            }
        }
    }
    close(memory);
    return found;
}

TEST(Pin, IsLeftOutOfCoreFilesAndWiped) {
    const std::string text = kTurned;
    {
        const Pin pin = make_pin(text);
        const auto address = reinterpret_cast<std::uintptr_t>(pin.reveal_secret().data());
        bool seen = false;
        for (const Mapping& mapping : read_mappings()) {
            if (address < mapping.begin || address >= mapping.end) continue;
            seen = true;
            EXPECT_TRUE(mapping.not_dumped);
            EXPECT_TRUE(mapping.locked);
        }
        EXPECT_TRUE(seen);
        EXPECT_EQ(count_in_dumpable_memory(text), 0);
    }
    // The search itself works: an ordinary copy of the secret is found.
    std::vector<char> copy(text.begin(), text.end());
    for (char& c : copy) c = static_cast<char>(c - 1);
    EXPECT_GE(count_in_dumpable_memory(text), 1);
    wipe_memory(copy);
    EXPECT_EQ(count_in_dumpable_memory(text), 0);
}
#endif

TEST(Pin, TakesOverAndMoves) {
    std::string text = "1234";
    Pin pin = Pin::take(text);
    EXPECT_EQ(text, std::string(4, '\0')) << "the caller's copy is wiped";
    Pin moved = std::move(pin);
    EXPECT_TRUE(pin.empty());  // NOLINT(bugprone-use-after-move): that it is empty is what is tested
    EXPECT_EQ(moved.reveal_secret(), "1234");
    moved = Pin();
    EXPECT_TRUE(moved.empty());
    std::string none;
    EXPECT_TRUE(Pin::take(none).empty());
    std::string longest(Pin::kMaxSize, 'x');
    EXPECT_EQ(Pin::take(longest).reveal_secret().size(), Pin::kMaxSize);
    std::string longer(Pin::kMaxSize + 1, 'x');
    EXPECT_THROW(Pin::take(longer), std::length_error);
    EXPECT_EQ(longer, std::string(Pin::kMaxSize + 1, '\0'));
}

}  // namespace
}  // namespace ctlsign::pkcs11
