#include <gtest/gtest.h>

#include <tests/support/own_state.hpp>

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    const ctlsign::testing::OwnState state;
    return RUN_ALL_TESTS();
}
