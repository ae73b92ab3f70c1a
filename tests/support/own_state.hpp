#pragma once

#include <cstdlib>

#include <tests/support/temporary_folder.hpp>

namespace ctlsign::testing {

/// State and configuration of the test's own: no test reads or writes what belongs to the person who runs it.
class OwnState {
  public:
    OwnState() {
        setenv("XDG_STATE_HOME", folder_.path().c_str(), 1);
        setenv("XDG_CONFIG_HOME", folder_.path().c_str(), 1);
    }

  private:
    TemporaryFolder folder_;
};

}  // namespace ctlsign::testing
