#include <openssl/err.h>

#include <new>
#include <system_error>

#include <pkcs11/error.hpp>
#include <pkcs11/openssl_error.hpp>

namespace ctlsign {

std::string take_openssl_reason() {
    const char* data = nullptr;
    int flags = 0;
    const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags);
    if (code == 0) return {};
    const char* reason = ERR_reason_error_string(code);
    std::string text = reason == nullptr ? "OpenSSL says no reason" : reason;
    if ((flags & ERR_TXT_STRING) != 0 && *data != '\0') text += std::string(": ") + data;
    ERR_clear_error();
    return text;
}

void fail_openssl(std::string_view function, std::string_view subject) {
    const bool no_memory = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
    const std::string reason = take_openssl_reason();
    if (no_memory) throw std::bad_alloc();
    throw Error(std::make_error_code(std::errc::operation_not_supported), function, subject,
                reason.empty() ? "OpenSSL says no reason" : reason);
}

}  // namespace ctlsign
