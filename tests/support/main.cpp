#include <gtest/gtest.h>

#include <tests/support/own_state.hpp>

// p11-kit 0.24's client forgets what it has allocated for a connection that fails.
extern "C" const char* __lsan_default_suppressions();   // NOLINT: its name
extern "C" const char* __lsan_default_suppressions() {  // NOLINT
    return "leak:p11-kit-client.so\n";
}

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    const ctlsign::testing::OwnState state;
    return RUN_ALL_TESTS();
}
