#include <gtest/gtest.h>

#include <map>
#include <ostream>

#include <tests/unit/phone/cluster_lists.hpp>

// Every combination of what is installed, who signed, whether the phone asks TVS, what TVS does, and whether
// the cluster was prepared for a rollback. One cell, one test.
namespace ctlsign::phone::testing {
namespace {

enum class Holds { Nothing, Ctl, Itl, Both };
enum class Asks { Tvs, Nobody };
enum class Tvs { Up, Down, NotInItl, SaysInvalid };

struct Row {
    Holds holds;
    Signer signer;
    Asks asks;
    const char* whole;     // by Tvs: one letter of kRules each
    const char* rollback;  // the same after the rollback was prepared
};

const std::map<char, Rule> kRules{
    {'1', Rule::FirstList},
    {'C', Rule::InstalledCtl},
    {'I', Rule::InstalledItl},
    {'T', Rule::Tvs},
    {'d', Rule::TvsDown},
    {'f', Rule::TvsNotTrusted},
    {'x', Rule::TvsInvalid},
    {'n', Rule::NoItl},
    {'s', Rule::NoSecurityByDefault},
    {'e', Rule::EmptiedByRollback},
    {'h', Rule::HashOnly},
};
const std::string kAccepting = "1CIT";

constexpr Row kTable[] = {
    // clang-format off
    {Holds::Nothing, Signer::InCtl,          Asks::Tvs,    "1111", "1111"},
    {Holds::Nothing, Signer::InCtl,          Asks::Nobody, "1111", "1111"},
    {Holds::Nothing, Signer::InItl,          Asks::Tvs,    "1111", "1111"},
    {Holds::Nothing, Signer::InItl,          Asks::Nobody, "1111", "1111"},
    {Holds::Nothing, Signer::HashOnly,       Asks::Tvs,    "1111", "1111"},
    {Holds::Nothing, Signer::HashOnly,       Asks::Nobody, "1111", "1111"},
    {Holds::Nothing, Signer::InTvsDatabase,  Asks::Tvs,    "1111", "1111"},
    {Holds::Nothing, Signer::InTvsDatabase,  Asks::Nobody, "1111", "1111"},
    {Holds::Nothing, Signer::InCtlCacheOnly, Asks::Tvs,    "1111", "1111"},
    {Holds::Nothing, Signer::InCtlCacheOnly, Asks::Nobody, "1111", "1111"},
    {Holds::Nothing, Signer::Unknown,        Asks::Tvs,    "1111", "1111"},
    {Holds::Nothing, Signer::Unknown,        Asks::Nobody, "1111", "1111"},

    {Holds::Ctl,     Signer::InCtl,          Asks::Tvs,    "CCCC", "CCCC"},
    {Holds::Ctl,     Signer::InCtl,          Asks::Nobody, "CCCC", "CCCC"},
    {Holds::Ctl,     Signer::InItl,          Asks::Tvs,    "nnnn", "nnnn"},
    {Holds::Ctl,     Signer::InItl,          Asks::Nobody, "ssss", "ssss"},
    {Holds::Ctl,     Signer::HashOnly,       Asks::Tvs,    "hhhh", "hhhh"},
    {Holds::Ctl,     Signer::HashOnly,       Asks::Nobody, "hhhh", "hhhh"},
    {Holds::Ctl,     Signer::InTvsDatabase,  Asks::Tvs,    "nnnn", "nnnn"},
    {Holds::Ctl,     Signer::InTvsDatabase,  Asks::Nobody, "ssss", "ssss"},
    {Holds::Ctl,     Signer::InCtlCacheOnly, Asks::Tvs,    "nnnn", "nnnn"},
    {Holds::Ctl,     Signer::InCtlCacheOnly, Asks::Nobody, "ssss", "ssss"},
    {Holds::Ctl,     Signer::Unknown,        Asks::Tvs,    "nnnn", "nnnn"},
    {Holds::Ctl,     Signer::Unknown,        Asks::Nobody, "ssss", "ssss"},

    {Holds::Itl,     Signer::InCtl,          Asks::Tvs,    "Tdfx", "eeee"},
    {Holds::Itl,     Signer::InCtl,          Asks::Nobody, "ssss", "ssss"},
    {Holds::Itl,     Signer::InItl,          Asks::Tvs,    "IIII", "IIII"},
    {Holds::Itl,     Signer::InItl,          Asks::Nobody, "IIII", "IIII"},
    {Holds::Itl,     Signer::HashOnly,       Asks::Tvs,    "Tdfx", "hhhh"},
    {Holds::Itl,     Signer::HashOnly,       Asks::Nobody, "hhhh", "hhhh"},
    {Holds::Itl,     Signer::InTvsDatabase,  Asks::Tvs,    "Tdfx", "eeee"},
    {Holds::Itl,     Signer::InTvsDatabase,  Asks::Nobody, "ssss", "ssss"},
    {Holds::Itl,     Signer::InCtlCacheOnly, Asks::Tvs,    "xdfx", "eeee"},
    {Holds::Itl,     Signer::InCtlCacheOnly, Asks::Nobody, "ssss", "ssss"},
    {Holds::Itl,     Signer::Unknown,        Asks::Tvs,    "xdfx", "eeee"},
    {Holds::Itl,     Signer::Unknown,        Asks::Nobody, "ssss", "ssss"},

    {Holds::Both,    Signer::InCtl,          Asks::Tvs,    "CCCC", "CCCC"},
    {Holds::Both,    Signer::InCtl,          Asks::Nobody, "CCCC", "CCCC"},
    {Holds::Both,    Signer::InItl,          Asks::Tvs,    "IIII", "IIII"},
    {Holds::Both,    Signer::InItl,          Asks::Nobody, "IIII", "IIII"},
    {Holds::Both,    Signer::HashOnly,       Asks::Tvs,    "Tdfx", "hhhh"},
    {Holds::Both,    Signer::HashOnly,       Asks::Nobody, "hhhh", "hhhh"},
    {Holds::Both,    Signer::InTvsDatabase,  Asks::Tvs,    "Tdfx", "eeee"},
    {Holds::Both,    Signer::InTvsDatabase,  Asks::Nobody, "ssss", "ssss"},
    {Holds::Both,    Signer::InCtlCacheOnly, Asks::Tvs,    "xdfx", "eeee"},
    {Holds::Both,    Signer::InCtlCacheOnly, Asks::Nobody, "ssss", "ssss"},
    {Holds::Both,    Signer::Unknown,        Asks::Tvs,    "xdfx", "eeee"},
    {Holds::Both,    Signer::Unknown,        Asks::Nobody, "ssss", "ssss"},
    // clang-format on
};

struct Cell {
    Holds holds;
    Signer signer;
    Asks asks;
    Tvs tvs;
    ItlState itl;
    char expected;
};

std::vector<Cell> cells() {
    std::vector<Cell> all;
    for (const Row& row : kTable) {
        for (const Tvs tvs : {Tvs::Up, Tvs::Down, Tvs::NotInItl, Tvs::SaysInvalid}) {
            const auto column = static_cast<std::size_t>(tvs);
            all.push_back({row.holds, row.signer, row.asks, tvs, ItlState::Whole, row.whole[column]});
            all.push_back({row.holds, row.signer, row.asks, tvs, ItlState::Rollback, row.rollback[column]});
        }
    }
    return all;
}

std::string name_of(const Cell& cell) {
    constexpr const char* kHolds[] = {"Nothing", "Ctl", "Itl", "Both"};
    constexpr const char* kSigners[] = {"InCtl",         "InItl",          "HashOnly",
                                        "InTvsDatabase", "InCtlCacheOnly", "Unknown"};
    constexpr const char* kTvs[] = {"TvsUp", "TvsDown", "TvsNotInItl", "TvsSaysInvalid"};
    return std::string("Holds") + kHolds[static_cast<int>(cell.holds)] + "_Signer" +
           kSigners[static_cast<int>(cell.signer)] + (cell.asks == Asks::Tvs ? "_Sbd_" : "_NoSbd_") +
           kTvs[static_cast<int>(cell.tvs)] + (cell.itl == ItlState::Rollback ? "_Rollback" : "");
}

void PrintTo(const Cell& cell, std::ostream* out) {
    *out << name_of(cell);
}

class DecisionTable : public ::testing::TestWithParam<Cell> {};

TEST_P(DecisionTable, VerdictAndRule) {
    const Cell& cell = GetParam();
    Device device;
    device.model.security_by_default = cell.asks == Asks::Tvs;
    if (cell.holds == Holds::Ctl || cell.holds == Holds::Both) device.installed.ctl = old_ctl();
    if (cell.holds == Holds::Itl || cell.holds == Holds::Both) device.installed.itl = old_itl(cell.itl);
    TvsServer server = tvs_server(cell.signer);
    if (cell.tvs == Tvs::Down) server.state = TvsServer::State::Down;
    if (cell.tvs == Tvs::NotInItl) server.certificate = stranger().certificate;
    if (cell.tvs == Tvs::SaysInvalid) server.answer = {};

    const Verdict verdict =
        decide(*new_list(cell.signer), ListKind::Ctl, device, std::span(&server, 1), kNow);

    EXPECT_EQ(to_text(verdict.rule), to_text(kRules.at(cell.expected)));
    const bool accepts = kAccepting.find(cell.expected) != std::string::npos;
    EXPECT_EQ(verdict.outcome, accepts ? Outcome::Accepts : Outcome::Refuses);
    EXPECT_EQ(verdict.learned.has_value(), cell.expected == 'T');
    EXPECT_EQ(remedies(verdict.rule).empty(), accepts);
    EXPECT_EQ(verdict.ways.empty(), accepts);
}

INSTANTIATE_TEST_SUITE_P(All, DecisionTable, ::testing::ValuesIn(cells()),
                         [](const auto& cell) { return name_of(cell.param); });

TEST(DecisionTable, HasEveryCombinationOnce) {
    std::map<std::string, int> count;
    for (const Cell& cell : cells()) ++count[name_of(cell)];
    EXPECT_EQ(count.size(), 4U * 6 * 2 * 4 * 2);
}

}  // namespace
}  // namespace ctlsign::phone::testing
