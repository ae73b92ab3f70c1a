#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include <pkcs11/bytes.hpp>
#include <pkcs11/cryptoki.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign {

Error::Error(std::error_code code, std::string_view failed, std::string_view subject, std::string_view advice)
    : std::system_error(code), failed_(failed), subject_(subject), advice_(advice) {
    line_ = failed_;
    if (!subject_.empty()) line_ += (line_.empty() ? "" : " on ") + subject_;
    line_ += (line_.empty() ? "" : ": ") + code.message();
    if (!advice_.empty()) line_ += "; " + advice_;
    // One line, whatever a token or a file calls itself.
    std::ranges::replace_if(
        line_, [](char c) { return c == '\n' || c == '\r'; }, ' ');
    line_ = printable(line_);
}

namespace pkcs11 {

namespace {

struct Row {
    CK_RV rv;
    const char* name;
    std::optional<Recovery> recovery;
};

// Every CK_RV of PKCS#11 2.40 (section 5.1), in the order of its number.
constexpr Row kRows[] = {
    {CKR_OK, "CKR_OK", std::nullopt},
    {CKR_CANCEL, "CKR_CANCEL", Recovery::busy},
    {CKR_HOST_MEMORY, "CKR_HOST_MEMORY", Recovery::device_failed},
    {CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID", Recovery::token_gone},
    {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", Recovery::device_failed},
    {CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED", Recovery::device_failed},
    {CKR_ARGUMENTS_BAD, "CKR_ARGUMENTS_BAD", Recovery::unsupported},
    {CKR_NO_EVENT, "CKR_NO_EVENT", std::nullopt},
    {CKR_NEED_TO_CREATE_THREADS, "CKR_NEED_TO_CREATE_THREADS", Recovery::device_failed},
    {CKR_CANT_LOCK, "CKR_CANT_LOCK", Recovery::device_failed},
    {CKR_ATTRIBUTE_READ_ONLY, "CKR_ATTRIBUTE_READ_ONLY", std::nullopt},
    {CKR_ATTRIBUTE_SENSITIVE, "CKR_ATTRIBUTE_SENSITIVE", std::nullopt},
    {CKR_ATTRIBUTE_TYPE_INVALID, "CKR_ATTRIBUTE_TYPE_INVALID", Recovery::unsupported},
    {CKR_ATTRIBUTE_VALUE_INVALID, "CKR_ATTRIBUTE_VALUE_INVALID", std::nullopt},
    {CKR_ACTION_PROHIBITED, "CKR_ACTION_PROHIBITED", Recovery::unsupported},
    {CKR_DATA_INVALID, "CKR_DATA_INVALID", std::nullopt},
    {CKR_DATA_LEN_RANGE, "CKR_DATA_LEN_RANGE", Recovery::unsupported},
    {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", Recovery::device_failed},
    {CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY", Recovery::device_failed},
    {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", Recovery::token_gone},
    {CKR_ENCRYPTED_DATA_INVALID, "CKR_ENCRYPTED_DATA_INVALID", std::nullopt},
    {CKR_ENCRYPTED_DATA_LEN_RANGE, "CKR_ENCRYPTED_DATA_LEN_RANGE", std::nullopt},
    {CKR_FUNCTION_CANCELED, "CKR_FUNCTION_CANCELED", Recovery::busy},
    {CKR_FUNCTION_NOT_PARALLEL, "CKR_FUNCTION_NOT_PARALLEL", Recovery::unsupported},
    {CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED", Recovery::unsupported},
    {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", Recovery::session_lost},
    {CKR_KEY_SIZE_RANGE, "CKR_KEY_SIZE_RANGE", Recovery::unsupported},
    {CKR_KEY_TYPE_INCONSISTENT, "CKR_KEY_TYPE_INCONSISTENT", Recovery::unsupported},
    {CKR_KEY_NOT_NEEDED, "CKR_KEY_NOT_NEEDED", std::nullopt},
    {CKR_KEY_CHANGED, "CKR_KEY_CHANGED", std::nullopt},
    {CKR_KEY_NEEDED, "CKR_KEY_NEEDED", std::nullopt},
    {CKR_KEY_INDIGESTIBLE, "CKR_KEY_INDIGESTIBLE", std::nullopt},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED", Recovery::unsupported},
    {CKR_KEY_NOT_WRAPPABLE, "CKR_KEY_NOT_WRAPPABLE", std::nullopt},
    {CKR_KEY_UNEXTRACTABLE, "CKR_KEY_UNEXTRACTABLE", std::nullopt},
    {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", Recovery::unsupported},
    {CKR_MECHANISM_PARAM_INVALID, "CKR_MECHANISM_PARAM_INVALID", Recovery::unsupported},
    {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", Recovery::session_lost},
    {CKR_OPERATION_ACTIVE, "CKR_OPERATION_ACTIVE", Recovery::session_lost},
    {CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED", Recovery::session_lost},
    {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", Recovery::pin_wrong},
    {CKR_PIN_INVALID, "CKR_PIN_INVALID", Recovery::pin_wrong},
    {CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE", Recovery::pin_wrong},
    {CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", Recovery::pin_locked},
    {CKR_PIN_LOCKED, "CKR_PIN_LOCKED", Recovery::pin_locked},
    {CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", Recovery::session_lost},
    {CKR_SESSION_COUNT, "CKR_SESSION_COUNT", Recovery::busy},
    {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", Recovery::session_lost},
    {CKR_SESSION_PARALLEL_NOT_SUPPORTED, "CKR_SESSION_PARALLEL_NOT_SUPPORTED", Recovery::unsupported},
    {CKR_SESSION_READ_ONLY, "CKR_SESSION_READ_ONLY", std::nullopt},
    {CKR_SESSION_EXISTS, "CKR_SESSION_EXISTS", Recovery::busy},
    {CKR_SESSION_READ_ONLY_EXISTS, "CKR_SESSION_READ_ONLY_EXISTS", Recovery::busy},
    {CKR_SESSION_READ_WRITE_SO_EXISTS, "CKR_SESSION_READ_WRITE_SO_EXISTS", Recovery::busy},
    {CKR_SIGNATURE_INVALID, "CKR_SIGNATURE_INVALID", std::nullopt},
    {CKR_SIGNATURE_LEN_RANGE, "CKR_SIGNATURE_LEN_RANGE", std::nullopt},
    {CKR_TEMPLATE_INCOMPLETE, "CKR_TEMPLATE_INCOMPLETE", std::nullopt},
    {CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT", std::nullopt},
    {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", Recovery::token_gone},
    {CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED", Recovery::token_gone},
    {CKR_TOKEN_WRITE_PROTECTED, "CKR_TOKEN_WRITE_PROTECTED", std::nullopt},
    {CKR_UNWRAPPING_KEY_HANDLE_INVALID, "CKR_UNWRAPPING_KEY_HANDLE_INVALID", std::nullopt},
    {CKR_UNWRAPPING_KEY_SIZE_RANGE, "CKR_UNWRAPPING_KEY_SIZE_RANGE", std::nullopt},
    {CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, "CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", std::nullopt},
    {CKR_USER_ALREADY_LOGGED_IN, "CKR_USER_ALREADY_LOGGED_IN", std::nullopt},
    {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", Recovery::login_needed},
    {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED", Recovery::pin_locked},
    {CKR_USER_TYPE_INVALID, "CKR_USER_TYPE_INVALID", std::nullopt},
    {CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", Recovery::busy},
    {CKR_USER_TOO_MANY_TYPES, "CKR_USER_TOO_MANY_TYPES", Recovery::busy},
    {CKR_WRAPPED_KEY_INVALID, "CKR_WRAPPED_KEY_INVALID", std::nullopt},
    {CKR_WRAPPED_KEY_LEN_RANGE, "CKR_WRAPPED_KEY_LEN_RANGE", std::nullopt},
    {CKR_WRAPPING_KEY_HANDLE_INVALID, "CKR_WRAPPING_KEY_HANDLE_INVALID", std::nullopt},
    {CKR_WRAPPING_KEY_SIZE_RANGE, "CKR_WRAPPING_KEY_SIZE_RANGE", std::nullopt},
    {CKR_WRAPPING_KEY_TYPE_INCONSISTENT, "CKR_WRAPPING_KEY_TYPE_INCONSISTENT", std::nullopt},
    {CKR_RANDOM_SEED_NOT_SUPPORTED, "CKR_RANDOM_SEED_NOT_SUPPORTED", Recovery::unsupported},
    {CKR_RANDOM_NO_RNG, "CKR_RANDOM_NO_RNG", Recovery::unsupported},
    {CKR_DOMAIN_PARAMS_INVALID, "CKR_DOMAIN_PARAMS_INVALID", Recovery::unsupported},
    {CKR_CURVE_NOT_SUPPORTED, "CKR_CURVE_NOT_SUPPORTED", Recovery::unsupported},
    {CKR_BUFFER_TOO_SMALL, "CKR_BUFFER_TOO_SMALL", std::nullopt},
    {CKR_SAVED_STATE_INVALID, "CKR_SAVED_STATE_INVALID", std::nullopt},
    {CKR_INFORMATION_SENSITIVE, "CKR_INFORMATION_SENSITIVE", std::nullopt},
    {CKR_STATE_UNSAVEABLE, "CKR_STATE_UNSAVEABLE", Recovery::unsupported},
    {CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", Recovery::session_lost},
    {CKR_CRYPTOKI_ALREADY_INITIALIZED, "CKR_CRYPTOKI_ALREADY_INITIALIZED", std::nullopt},
    {CKR_MUTEX_BAD, "CKR_MUTEX_BAD", Recovery::device_failed},
    {CKR_MUTEX_NOT_LOCKED, "CKR_MUTEX_NOT_LOCKED", Recovery::device_failed},
    {CKR_NEW_PIN_MODE, "CKR_NEW_PIN_MODE", std::nullopt},
    {CKR_NEXT_OTP, "CKR_NEXT_OTP", std::nullopt},
    {CKR_EXCEEDED_MAX_ITERATIONS, "CKR_EXCEEDED_MAX_ITERATIONS", std::nullopt},
    {CKR_FIPS_SELF_TEST_FAILED, "CKR_FIPS_SELF_TEST_FAILED", Recovery::device_failed},
    {CKR_LIBRARY_LOAD_FAILED, "CKR_LIBRARY_LOAD_FAILED", Recovery::device_failed},
    {CKR_PIN_TOO_WEAK, "CKR_PIN_TOO_WEAK", std::nullopt},
    {CKR_PUBLIC_KEY_INVALID, "CKR_PUBLIC_KEY_INVALID", std::nullopt},
    {CKR_FUNCTION_REJECTED, "CKR_FUNCTION_REJECTED", std::nullopt},
};

const Row* find_row(unsigned long rv) noexcept {
    const auto* row = std::ranges::lower_bound(kRows, rv, {}, &Row::rv);
    return row != std::end(kRows) && row->rv == rv ? row : nullptr;
}

class RvCategory final : public std::error_category {
  public:
    const char* name() const noexcept override { return "pkcs11-rv"; }
    std::string message(int value) const override {
        const auto rv = static_cast<unsigned>(value);
        if (const Row* row = find_row(rv)) return row->name;
        if ((rv & CKR_VENDOR_DEFINED) != 0)
            return fmt::format("CKR_VENDOR_DEFINED+0x{:x}", rv & ~CKR_VENDOR_DEFINED);
        return fmt::format("CKR_0x{:x}", rv);
    }
};

class Category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "pkcs11"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::ModuleNotLoaded:
                return "the PKCS#11 module cannot be loaded";
            case Errc::NotAnUri:
                return "not a PKCS#11 URI (RFC 7512)";
            case Errc::PinInUri:
                return "a URI with pin-value is refused";
            case Errc::MalformedQuirks:
                return "not a table of quirks";
            case Errc::Forked:
                return "the session belongs to the process before the fork";
            case Errc::WrongLength:
                return "the token answered with a value of another length";
            case Errc::NoMechanism:
                return "the token has no mechanism for this signature";
            case Errc::FinalTryRefused:
                return "one try is left, and a wrong PIN would lock the token";
            case Errc::PinRefused:
                return "this token has rejected this PIN before";
            case Errc::TokenInUse:
                return "another program uses the token";
            case Errc::TokenGone:
                return "the token is gone";
            case Errc::ModuleEnded:
                return "the module that ran in a process of its own is gone";
        }
        return "unknown";
    }
};

class RecoveryCategory final : public std::error_category {
  public:
    const char* name() const noexcept override { return "pkcs11-recovery"; }
    std::string message(int value) const override {
        switch (static_cast<Recovery>(value)) {
            case Recovery::token_gone:
                return "the token is gone";
            case Recovery::session_lost:
                return "the session is lost";
            case Recovery::login_needed:
                return "a login is needed";
            case Recovery::pin_wrong:
                return "the PIN is wrong";
            case Recovery::pin_locked:
                return "the PIN is locked";
            case Recovery::busy:
                return "the token is busy";
            case Recovery::unsupported:
                return "the token does not support this";
            case Recovery::device_failed:
                return "the token has failed";
        }
        return "unknown";
    }
    bool equivalent(const std::error_code& code, int condition) const noexcept override {
        return find_recovery(code) == static_cast<Recovery>(condition);
    }
};

}  // namespace

const std::error_category& rv_category() noexcept {
    static const RvCategory instance;
    return instance;
}

const std::error_category& category() noexcept {
    static const Category instance;
    return instance;
}

static_assert(kUserPinNotInitialized == CKR_USER_PIN_NOT_INITIALIZED);
std::error_code make_rv(unsigned long rv) noexcept {
    return {static_cast<int>(rv), rv_category()};
}
std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), category()};
}

std::optional<Recovery> find_recovery(const std::error_code& code) noexcept {
    if (code.category() == rv_category()) {
        const Row* row = find_row(static_cast<unsigned>(code.value()));
        return row != nullptr ? row->recovery : std::nullopt;
    }
    if (code.category() != category()) return std::nullopt;
    switch (static_cast<Errc>(code.value())) {
        case Errc::Forked:
            return Recovery::session_lost;
        case Errc::NoMechanism:
            return Recovery::unsupported;
        case Errc::TokenGone:
            return Recovery::token_gone;
        case Errc::TokenInUse:
            return Recovery::busy;
        case Errc::PinRefused:
            return Recovery::pin_wrong;
        case Errc::ModuleNotLoaded:
        case Errc::WrongLength:
        case Errc::ModuleEnded:
            return Recovery::device_failed;
        default:
            return std::nullopt;
    }
}

std::error_condition make_error_condition(Recovery condition) noexcept {
    static const RecoveryCategory instance;
    return {static_cast<int>(condition), instance};
}

std::string_view advice_for(std::error_code code) noexcept {
    if (code == Recovery::token_gone) return "plug the token in and try again";
    if (code == Recovery::session_lost) return "open the token again";
    if (code == Recovery::login_needed) return "log in with the token's PIN";
    if (code == Recovery::pin_wrong) return "one attempt was spent; check the PIN before the next";
    if (code == make_rv(CKR_PIN_EXPIRED))
        return "the PIN has expired: set another one with the token's own tool";
    if (code == Recovery::pin_locked) return "the token's administrator must set a new PIN";
    if (code == Recovery::busy) return "another program uses the token; try again when it is done";
    if (code == Recovery::unsupported) return "see what the token can do with: ctlsign token doctor";
    if (code == Recovery::device_failed)
        return "take the token out, put it in, and see: ctlsign token doctor";
    return "see: ctlsign token doctor";
}

}  // namespace pkcs11
}  // namespace ctlsign
