#pragma once

// Private, as cryptoki.hpp.
#include <csignal>

namespace ctlsign::pkcs11 {

/// Stands around each call into a module and mends what modules do to their caller (docs/modules.md). What
/// it left locked in this thread is unlocked when the outermost call ends, and the SIGPIPE of a connection
/// that it lost does not end the program.
class ModuleCall {
  public:
    ModuleCall() noexcept;
    ~ModuleCall();
    ModuleCall(const ModuleCall&) = delete;
    ModuleCall& operator=(const ModuleCall&) = delete;

  private:
    sigset_t mask_;  ///< of the thread before the call
};

}  // namespace ctlsign::pkcs11
