#include <gtest/gtest.h>

#include <ctlsign/cluster/release.hpp>

namespace ctlsign::cluster {
namespace {

Release release(std::string_view text) {
    return Release::parse(text).value();
}

TEST(Release, ReadsWhatAdministratorsWrite) {
    for (const char* text : {"8.6(2a)", "9.1(2)", "10.5(2)", "10.5(2.10000-5)", "11.5(1)SU3", "12.0", "14",
                             "14SU3", "14.0(1)SU3", "15SU1a"}) {
        EXPECT_TRUE(Release::parse(text)) << text;
    }
    for (const char* text :
         {"", "x", "10.", "10.5(", "10.5(2", "10.5()", "10.5(2)SU", "10.5(2) or later", "-1", "10,5"})
        EXPECT_FALSE(Release::parse(text)) << text;
    EXPECT_EQ(release("11.5(1)SU3").text(), "11.5(1)SU3");
}

TEST(Release, AreInTheirOrder) {
    const char* order[] = {"8.6(2a)", "9.1(2)",  "10.0(1)", "10.5(1)",    "10.5(2)", "10.5(2)SU1", "11.0(1)",
                           "11.5",    "12.0(1)", "12.5(1)", "12.5(1)SU2", "14SU2",   "14SU3",      "15"};
    for (std::size_t number = 1; number < std::size(order); ++number) {
        EXPECT_TRUE(release(order[number - 1]) < release(order[number])) << order[number];
        EXPECT_FALSE(release(order[number]) < release(order[number - 1])) << order[number];
    }
}

TEST(Release, TellWhatIsPossible) {
    struct Row {
        const char* text;
        bool tokenless, itl_recovery, publisher_beside_tokens, signs_with_recovery, tokens;
    };
    for (const Row& row :
         {Row{"9.1(2)", false, false, false, false, true}, Row{"10.0(1)", true, false, false, false, true},
          Row{"10.5(1)", true, false, false, false, true}, Row{"10.5(2)", true, true, false, false, true},
          Row{"11.0(1)", true, true, false, false, true}, Row{"11.5(1)", true, true, true, false, true},
          Row{"12.0(1)", true, true, true, true, true}, Row{"14SU2", true, true, true, true, true},
          Row{"14.0(1)SU3", true, true, true, true, false}, Row{"14SU3", true, true, true, true, false},
          Row{"15", true, true, true, true, false}}) {
        const Release known = release(row.text);
        EXPECT_EQ(known.knows_tokenless(), row.tokenless) << row.text;
        EXPECT_EQ(known.has_itl_recovery(), row.itl_recovery) << row.text;
        EXPECT_EQ(known.keeps_publisher_sast(), row.publisher_beside_tokens) << row.text;
        EXPECT_EQ(known.signs_with_itl_recovery(), row.signs_with_recovery) << row.text;
        EXPECT_EQ(known.takes_tokens(), row.tokens) << row.text;
    }
}

}  // namespace
}  // namespace ctlsign::cluster
