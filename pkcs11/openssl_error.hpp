#pragma once

#include <string>
#include <string_view>

namespace ctlsign {

/// The oldest complaint on OpenSSL's queue of this thread, in words; empty when there is none. Empties the
/// queue.
std::string take_openssl_reason();

/// For a FUNCTION of OpenSSL that failed though its input is right. Throws std::bad_alloc when memory is
/// short, else Error (ENOTSUP: as a rule the system's policy or a missing provider) with OpenSSL's reason.
/// Empties the queue.
[[noreturn]] void fail_openssl(std::string_view function, std::string_view subject);

}  // namespace ctlsign
