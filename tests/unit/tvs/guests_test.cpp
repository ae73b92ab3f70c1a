#include <gtest/gtest.h>

#include <optional>

#include <ctlsign/tvs/guests.hpp>

namespace ctlsign::tvs {
namespace {

std::string site(const char* address) {
    return site_of(asio::ip::make_address(address));
}

TEST(Guests, AllOfAnIpv4AddressAndThe64OfAnIpv6OneAreASite) {
    EXPECT_EQ(site("192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(site("::ffff:192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(site("2001:db8:0:1::1"), site("2001:db8:0:1:ffff:ffff:ffff:ffff"));
    EXPECT_NE(site("2001:db8:0:1::1"), site("2001:db8:0:2::1"));
}

TEST(Guests, AreSeatedWithinTheLimitsAndSeatsComeFree) {
    Limits limits;
    limits.connections = 3;
    limits.per_address = 2;
    Guests guests(limits);
    const auto enter = [&](const char* from) { return guests.enter(from); };
    const auto is_seated = [](const auto& entered) { return std::holds_alternative<Guests::Seat>(entered); };
    const auto why = [](const auto& entered) { return std::get<Guests::Full>(entered); };
    std::optional first = enter("a");
    const auto second = enter("a");
    EXPECT_TRUE(is_seated(*first) && is_seated(second));
    EXPECT_EQ(why(enter("a")), Guests::Full::OfTheSite);
    const auto other = enter("b");
    EXPECT_TRUE(is_seated(other));
    EXPECT_EQ(why(enter("c")), Guests::Full::Everywhere);
    first.reset();
    EXPECT_EQ(guests.count(), 2U);
    EXPECT_TRUE(is_seated(enter("a")));
}

TEST(Crowds, AreToldOfAtOnceAndThenOnceAMinute) {
    using namespace std::chrono_literals;
    Crowds crowds;
    const Crowds::Time start{};
    EXPECT_EQ(crowds.turn_away("a", start), 1U);
    EXPECT_EQ(crowds.turn_away("b", start + 1s), 1U);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(crowds.turn_away("a", start + 59s), 0U);
    EXPECT_EQ(crowds.turn_away("a", start + 60s), 6U);
    EXPECT_EQ(crowds.turn_away("a", start + 61s), 0U);
    EXPECT_EQ(crowds.turn_away("a", start + 120s), 2U);
    // Another site that comes then has those forgotten that have been quiet.
    EXPECT_EQ(crowds.turn_away("c", start + 10min), 1U);
    EXPECT_EQ(crowds.turn_away("b", start + 10min), 1U);
}

}  // namespace
}  // namespace ctlsign::tvs
