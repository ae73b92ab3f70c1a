#pragma once

#include <pkcs11/digest.hpp>

struct evp_md_st;

namespace ctlsign {

/// OpenSSL's own of DIGEST, there for good. Throws as fail_openssl() does where OpenSSL has it not.
const evp_md_st* openssl_digest(Digest digest);

}  // namespace ctlsign
