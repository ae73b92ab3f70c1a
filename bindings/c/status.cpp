#include <algorithm>
#include <new>
#include <string_view>
#include <system_error>

#include <bindings/c/status.hpp>
#include <ctlsign/error.hpp>
#include <pkcs11/error.hpp>
#include <sast/error.hpp>

namespace ctlsign::c {

namespace {

using pkcs11::Recovery;

static_assert(CTLSIGN_CONDITION_TOKEN_GONE == static_cast<int>(Recovery::token_gone) &&
              CTLSIGN_CONDITION_SESSION_LOST == static_cast<int>(Recovery::session_lost) &&
              CTLSIGN_CONDITION_LOGIN_NEEDED == static_cast<int>(Recovery::login_needed) &&
              CTLSIGN_CONDITION_PIN_WRONG == static_cast<int>(Recovery::pin_wrong) &&
              CTLSIGN_CONDITION_PIN_LOCKED == static_cast<int>(Recovery::pin_locked) &&
              CTLSIGN_CONDITION_BUSY == static_cast<int>(Recovery::busy) &&
              CTLSIGN_CONDITION_UNSUPPORTED == static_cast<int>(Recovery::unsupported) &&
              CTLSIGN_CONDITION_DEVICE_FAILED == static_cast<int>(Recovery::device_failed));

ctlsign_status of_pkcs11(pkcs11::Errc code) noexcept {
    switch (code) {
        case pkcs11::Errc::NotAnUri:
        case pkcs11::Errc::PinInUri:
            return CTLSIGN_STATUS_ARGUMENT;
        case pkcs11::Errc::MalformedQuirks:
            return CTLSIGN_STATUS_MALFORMED;
        default:
            return CTLSIGN_STATUS_TOKEN;
    }
}

ctlsign_status of_sast(sast::Errc code) noexcept {
    switch (code) {
        case sast::Errc::MalformedCertificate:
        case sast::Errc::MalformedKey:
            return CTLSIGN_STATUS_MALFORMED;
        case sast::Errc::PinNeeded:
            return CTLSIGN_STATUS_NO_PIN;
        default:
            return CTLSIGN_STATUS_TOKEN;
    }
}

ctlsign_status of_ctlsign(Errc code) noexcept {
    switch (code) {
        case Errc::Malformed:
        case Errc::Oversized:
        case Errc::Unencodable:
            return CTLSIGN_STATUS_MALFORMED;
        case Errc::NotVerified:
        case Errc::DigestMismatch:
            return CTLSIGN_STATUS_NOT_VERIFIED;
        case Errc::RuleRefused:
            return CTLSIGN_STATUS_RULE;
        case Errc::InUse:
        case Errc::NodeFailed:
        case Errc::Unfinished:
            return CTLSIGN_STATUS_SYSTEM;
    }
    return CTLSIGN_STATUS_FAULT;
}

ctlsign_status of_code(const std::error_code& code) noexcept {
    if (code.category() == pkcs11::rv_category()) return CTLSIGN_STATUS_TOKEN;
    if (code.category() == pkcs11::category()) return of_pkcs11(static_cast<pkcs11::Errc>(code.value()));
    if (code.category() == sast::category()) return of_sast(static_cast<sast::Errc>(code.value()));
    if (code.category() == ctlsign::category()) return of_ctlsign(static_cast<Errc>(code.value()));
    if (code.category() == std::system_category() || code.category() == std::generic_category())
        return CTLSIGN_STATUS_SYSTEM;
    return CTLSIGN_STATUS_FAULT;
}

ctlsign_condition condition_of(const std::error_code& code) noexcept {
    const auto found = pkcs11::find_recovery(code);
    return found ? static_cast<ctlsign_condition>(*found) : CTLSIGN_CONDITION_NONE;
}

void copy_text(std::string_view text, ctlsign_error& error) noexcept {
    std::size_t size = std::min(text.size(), sizeof error.text - 1);
    // UTF-8 is not cut inside of a character.
    while (size < text.size() && size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U)
        --size;
    text.copy(error.text, size);
    error.text[size] = '\0';
}

ctlsign_status fill(ctlsign_error* error, ctlsign_status status, const std::error_code& code,
                    const char* domain, std::string_view text) noexcept {
    if (error == nullptr) return status;
    error->status = status;
    error->condition = condition_of(code);
    error->code = static_cast<unsigned>(code.value());
    error->domain = domain;
    copy_text(text, *error);
    return status;
}

ctlsign_status fill(ctlsign_error* error, ctlsign_status status, std::string_view text) noexcept {
    if (error == nullptr) return status;
    *error = {status, CTLSIGN_CONDITION_NONE, static_cast<unsigned long>(status), "c", {}};
    copy_text(text, *error);
    return status;
}

}  // namespace

ctlsign_status report_success(ctlsign_error* error) noexcept {
    return fill(error, CTLSIGN_STATUS_OK, {});
}

ctlsign_status report(const std::exception_ptr& exception, ctlsign_error* error) noexcept {
    try {
        std::rethrow_exception(exception);
    } catch (const Refusal& e) {
        return fill(error, e.status(), e.what());
    } catch (const std::system_error& e) {
        return fill(error, of_code(e.code()), e.code(), e.code().category().name(), e.what());
    } catch (const std::bad_alloc&) {
        return fill(error, CTLSIGN_STATUS_MEMORY, "out of memory");
    } catch (const std::exception& e) {
        return fill(error, CTLSIGN_STATUS_FAULT, e.what());
    } catch (...) {
        return fill(error, CTLSIGN_STATUS_FAULT, "something else than an exception of C++ was thrown");
    }
}

}  // namespace ctlsign::c

const char* ctlsign_status_name(ctlsign_status status) {
    switch (status) {
        case CTLSIGN_STATUS_OK:
            return "ok";
        case CTLSIGN_STATUS_ARGUMENT:
            return "argument";
        case CTLSIGN_STATUS_HANDLE:
            return "handle";
        case CTLSIGN_STATUS_MALFORMED:
            return "malformed";
        case CTLSIGN_STATUS_RULE:
            return "rule";
        case CTLSIGN_STATUS_TOKEN:
            return "token";
        case CTLSIGN_STATUS_SYSTEM:
            return "system";
        case CTLSIGN_STATUS_NOT_VERIFIED:
            return "not-verified";
        case CTLSIGN_STATUS_NO_PIN:
            return "no-pin";
        case CTLSIGN_STATUS_TIMEOUT:
            return "timeout";
        case CTLSIGN_STATUS_STOPPED:
            return "stopped";
        case CTLSIGN_STATUS_MEMORY:
            return "memory";
        case CTLSIGN_STATUS_FAULT:
            return "fault";
        default:
            return "unknown";
    }
}

const char* ctlsign_condition_name(ctlsign_condition condition) {
    switch (condition) {
        case CTLSIGN_CONDITION_NONE:
            return "none";
        case CTLSIGN_CONDITION_TOKEN_GONE:
            return "token-gone";
        case CTLSIGN_CONDITION_SESSION_LOST:
            return "session-lost";
        case CTLSIGN_CONDITION_LOGIN_NEEDED:
            return "login-needed";
        case CTLSIGN_CONDITION_PIN_WRONG:
            return "pin-wrong";
        case CTLSIGN_CONDITION_PIN_LOCKED:
            return "pin-locked";
        case CTLSIGN_CONDITION_BUSY:
            return "busy";
        case CTLSIGN_CONDITION_UNSUPPORTED:
            return "unsupported";
        case CTLSIGN_CONDITION_DEVICE_FAILED:
            return "device-failed";
        default:
            return "unknown";
    }
}

const char* ctlsign_version() {
    return CTLSIGN_VERSION;
}
