#include <gtest/gtest.h>

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
    std::atomic<std::uint64_t> over_limit{0}, over_address_limit{0};
    const auto enter = [&](const char* from) { return guests.enter(from, over_limit, over_address_limit); };
    auto first = enter("a"), second = enter("a");
    EXPECT_TRUE(first && second);
    EXPECT_FALSE(enter("a"));
    EXPECT_EQ(over_address_limit, 1U);
    const auto other = enter("b");
    EXPECT_TRUE(other);
    EXPECT_FALSE(enter("c"));
    EXPECT_EQ(over_limit, 1U);
    first.reset();
    EXPECT_EQ(guests.count(), 2U);
    EXPECT_TRUE(enter("a"));
}

}  // namespace
}  // namespace ctlsign::tvs
