#pragma once

#include <string>

namespace ctlsign::softhsm {

/// Path of libsofthsm2.so: CTLSIGN_SOFTHSM2_MODULE of the environment, else where the build found it, else
/// the first of the places where systems put it. Throws Errc::NoSoftHsm.
std::string find_softhsm_module();

}  // namespace ctlsign::softhsm
