#pragma once

#include <p11-kit/pkcs11.h>

#include <string>

namespace ctlsign::softhsm {

/// Loads a copy of the PKCS#11 module in file MODULE. Every copy has a state of its own, also when this
/// process uses the module itself, or came from one that did. A copy stays loaded until the process ends.
/// Throws Error.
CK_FUNCTION_LIST* load_private_copy(const std::string& module);

}  // namespace ctlsign::softhsm
