#pragma once

// Private: the PKCS#11 C header. Only sources of pkcs11/ and PKCS#11 modules of this project include it.
#include <p11-kit/pkcs11.h>
