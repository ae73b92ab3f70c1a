#include <gtest/gtest.h>

#include <cstdlib>

#include <tests/support/temporary_folder.hpp>

// Each test program has state of its own: no test reads or writes what belongs to the person who runs it.
int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    const ctlsign::testing::TemporaryFolder state;
    setenv("XDG_STATE_HOME", state.path().c_str(), 1);
    setenv("XDG_CONFIG_HOME", state.path().c_str(), 1);
    return RUN_ALL_TESTS();
}
