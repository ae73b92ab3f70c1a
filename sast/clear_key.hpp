#pragma once

#include <memory>
#include <string_view>

struct evp_pkey_st;

namespace ctlsign::sast {

/// Private: the first private key of PEM text, of any algorithm; null when there is none that can be read.
/// One that is encrypted is left rather than asked about: it is for keys that are used without a person. The
/// reason stays on OpenSSL's queue.
std::shared_ptr<evp_pkey_st> decode_clear_key(std::string_view pem);

}  // namespace ctlsign::sast
