#pragma once

#include <functional>

#include <pkcs11/bytes.hpp>

namespace ctlsign::softhsm {

/// Runs WORK in a forked child process and returns what it returned; an Error thrown there is thrown here.
/// What WORK loads, sets and allocates is gone with the child. Throws Errc::ProvisioningDied when it ends
/// otherwise, after two minutes at the latest.
Bytes run_in_child(const std::function<Bytes()>& work);

}  // namespace ctlsign::softhsm
