#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctlsign/error.hpp>
#include <ctlsign/tvs/plan.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign::tvs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPlan = R"(
[[server]]
name = "a"
certificate = "a.pem"
database = "tvs.db"
[[server]]
name = "b"
certificate = "b.pem"
tls10 = true
[[server]]
name = "c"
certificate = "c.pem"
down = true
[[server]]
name = "d"
certificate = "d.pem"
ctl = "CTLFile.tlv"
[[pool]]
name = "Krakow"
servers = ["d", "a"]
[[pool]]
name = "none"
servers = []
)";

TEST(Plan, ServersAndPools) {
    const Plan plan = Plan::decode(kPlan, "tvs.toml");
    ASSERT_EQ(plan.servers.size(), 4U);
    EXPECT_EQ(plan.servers[0].database, "tvs.db");
    EXPECT_TRUE(plan.servers[1].speaks_tls10);
    EXPECT_TRUE(plan.servers[2].down);
    EXPECT_EQ(plan.servers[3].ctl, "CTLFile.tlv");
    EXPECT_THAT(plan.servers_of("", "Krakow"), ElementsAre(3, 0));
    EXPECT_THAT(plan.servers_of("", "none"), IsEmpty());
    EXPECT_THAT(plan.servers_of("b c", "Krakow"), ElementsAre(1, 2)) << "a phone's own list comes first";
    EXPECT_THAT(plan.servers_of("B,c", ""), ElementsAre(1, 2));
    EXPECT_THAT(plan.servers_of(" a, b ;c d", ""), ElementsAre(0, 1, 2));
    EXPECT_THAT(plan.servers_of("b;unheard-of", ""), ElementsAre(1, std::nullopt));
    EXPECT_THAT(plan.servers_of(" ", ""), ElementsAre(0, 1, 2)) << "a phone knows three at the most";
    EXPECT_THAT(plan.servers_of("", "krakow"), ElementsAre(3, 0));
    EXPECT_THAT(plan.servers_of("", "elsewhere"), ElementsAre(std::nullopt));
    Plan without_pools = plan;
    without_pools.pools.clear();
    EXPECT_THAT(without_pools.servers_of("", "elsewhere"), ElementsAre(0, 1, 2));
}

TEST(Plan, SaysWhatIsWrong) {
    const auto complaint = [](const char* toml) -> std::string {
        try {
            Plan::decode(toml, "tvs.toml");
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), Errc::Malformed);
            return e.what();
        }
        return "accepted";
    };
    EXPECT_THAT(complaint("[[server]]\nname = \"a\"\n"), HasSubstr("a server has a name and a certificate"));
    EXPECT_THAT(complaint("[[server]]\nname = 1\n"), HasSubstr("line 2: expected a text"));
    EXPECT_THAT(complaint("[[server]]\nup = true\n"), HasSubstr("no server has the key 'up'"));
    EXPECT_THAT(complaint("[[server]]\ntls10 = 1\n"), HasSubstr("expected true or false"));
    EXPECT_THAT(complaint("[[pool]]\nservers = []\n"), HasSubstr("a pool has a name"));
    EXPECT_THAT(complaint("[[pool]]\nname = \"p\"\nserver = []\n"),
                HasSubstr("no pool has the key 'server'"));
    EXPECT_THAT(complaint("[[pool]]\nname = \"p\"\nservers = [\"x\"]\n"),
                HasSubstr("a server 'x' that is not there"));
    EXPECT_THAT(complaint("server = 1\n"), HasSubstr("expected [[server]] or [[pool]]"));
    EXPECT_THAT(complaint("[["), HasSubstr("tvs.toml"));
}

}  // namespace
}  // namespace ctlsign::tvs
