#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <tests/soak/record.hpp>

namespace ctlsign::testing::soak {

/// Who pulls tokens, swaps them, puts another one in their place, and breaks the module: all at random, one
/// deed after the other.
class Hand {
  public:
    /// FOLDER is one of virtual tokens; nobody signs with SPARE, which is in no reader. A fault "TOKEN" is
    /// about a token of TOKENS.
    Hand(std::filesystem::path folder, std::vector<std::string> tokens, std::string spare,
         std::vector<std::string> faults, const Record& record, std::mt19937& random);

    void do_something();
    /// Every token is in and no fault is left.
    void make_peace();

  private:
    void plug(const std::string& token, std::optional<unsigned> reader = std::nullopt);
    std::optional<unsigned> pull(const std::string& token);
    void plug_all();
    void break_something();
    void hesitate(std::chrono::milliseconds at_most);
    const std::string& any(const std::vector<std::string>& of);

    std::filesystem::path folder_;
    std::vector<std::string> tokens_;
    std::string spare_;
    std::vector<std::string> faults_;
    const Record& record_;
    std::mt19937& random_;
};

}  // namespace ctlsign::testing::soak
