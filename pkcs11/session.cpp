#include <fmt/format.h>

#include <utility>

#include <pkcs11/backoff.hpp>
#include <pkcs11/cryptoki.hpp>
#include <pkcs11/session.hpp>

namespace ctlsign::pkcs11 {

namespace {

constexpr std::size_t kUsualRoom = 2048;  // a certificate's

std::vector<CK_ATTRIBUTE> native(const Template& attributes) {
    std::vector<CK_ATTRIBUTE> list;
    list.reserve(attributes.entries().size());
    for (const auto& entry : attributes.entries()) {
        list.push_back({entry.type, const_cast<std::uint8_t*>(entry.value.data()), entry.value.size()});
    }
    return list;
}
}  // namespace

Session::Session(Token token, unsigned long handle, unsigned lifetime)
    : token_(std::move(token)), handle_(handle), lifetime_(lifetime), open_(true) {}

// What a token answers that is there and still busy after its last session.
static bool may_be_busy(CK_RV rv) {
    return make_rv(rv) == Recovery::busy || rv == CKR_DEVICE_ERROR || rv == CKR_TOKEN_NOT_PRESENT;
}

Session Session::open(const Token& token, Access access) {
    auto& state = token.module()->state();
    state.adopt_process();
    const auto slot = static_cast<CK_SLOT_ID>(token.slot());
    CK_FLAGS flags = CKF_SERIAL_SESSION;
    if (access == Access::ReadWrite) flags |= CKF_RW_SESSION;
    CK_SLOT_INFO slot_info{};
    CK_SESSION_HANDLE handle = 0;
    const auto attempt = [&] {
        state.check(state.try_call(&CK_FUNCTION_LIST::C_GetSlotInfo, slot, &slot_info), "C_GetSlotInfo",
                    token.text());
        return state.try_call(&CK_FUNCTION_LIST::C_OpenSession, slot, flags, static_cast<void*>(nullptr),
                              static_cast<CK_NOTIFY>(nullptr), &handle);
    };
    CK_RV rv = attempt();
    if (may_be_busy(rv)) {
        const auto limit = token.quirks().busy_after_close;
        unsigned closings = state.closings;
        Backoff backoff(limit);
        while (may_be_busy(rv) && (slot_info.flags & CKF_TOKEN_PRESENT) != 0 && backoff.pause()) {
            // A session of another thread that has ended makes it busy anew.
            if (closings != state.closings) {
                closings = state.closings;
                backoff = Backoff(limit);
            }
            rv = attempt();
        }
    }
    state.check(rv, "C_OpenSession", token.text());
    return Session(token, handle, state.lifetime);
}

Session::Session(Session&& other) noexcept
    : token_(std::move(other.token_)),
      handle_(other.handle_),
      lifetime_(other.lifetime_),
      open_(std::exchange(other.open_, false)),
      logged_in_(std::exchange(other.logged_in_, false)),
      spent_(other.spent_) {}

Session& Session::operator=(Session&& other) noexcept {
    if (this != &other) {
        close_quietly();
        token_ = std::move(other.token_);
        handle_ = other.handle_;
        lifetime_ = other.lifetime_;
        open_ = std::exchange(other.open_, false);
        logged_in_ = std::exchange(other.logged_in_, false);
        spent_ = other.spent_;
    }
    return *this;
}

Session::~Session() {
    close_quietly();
}

Module::State& Session::live_state() const {
    auto& state = token_.module()->state();
    if (!open_) state.check(CKR_SESSION_CLOSED, "session", token_.text());
    if (state.process != getpid() || state.lifetime != lifetime_) {
        throw Error(Errc::Forked, "session", token_.text(), advice_for(make_error_code(Errc::Forked)));
    }
    return state;
}

void Session::forget_login() noexcept {
    if (!std::exchange(logged_in_, false)) return;
    auto& state = token_.module()->state();
    const std::scoped_lock lock(state.mutex);
    const auto entry = state.logins.find(static_cast<unsigned long>(token_.slot()));
    if (entry != state.logins.end() && --entry->second == 0) state.logins.erase(entry);
}

void Session::close() {
    auto& state = live_state();
    forget_login();
    open_ = false;
    ++state.closings;
    state.check(state.try_call(&CK_FUNCTION_LIST::C_CloseSession, static_cast<CK_SESSION_HANDLE>(handle_)),
                "C_CloseSession", token_.text());
}

void Session::close_quietly() noexcept {
    if (!open_) return;
    auto& state = token_.module()->state();
    if (state.process == getpid() && state.lifetime == lifetime_) {
        forget_login();
        ++state.closings;
        (void)state.try_call(&CK_FUNCTION_LIST::C_CloseSession, static_cast<CK_SESSION_HANDLE>(handle_));
    }
    open_ = false;
}

bool Session::logged_in() const {
    auto& state = live_state();
    CK_SESSION_INFO info{};
    state.check(
        state.try_call(&CK_FUNCTION_LIST::C_GetSessionInfo, static_cast<CK_SESSION_HANDLE>(handle_), &info),
        "C_GetSessionInfo", token_.text());
    return info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS;
}

unsigned long PinStatus::rank() const noexcept {
    if (tries) return tries->left;
    switch (state) {
        case PinState::Locked:
        case PinState::NotInitialized:
            return 0;
        case PinState::FinalTry:
            return 1;
        case PinState::CountLow:
            return 2;
        case PinState::Good:
            break;
    }
    return 3;
}

std::string to_text(const PinStatus& status) {
    if (!status.tries) return std::string(to_text(status.state));
    return fmt::format("{} of {} tries left", status.tries->left, status.tries->maximum);
}

void require_try(const Token& token, const PinStatus& status, FinalTry final) {
    if (status.state == PinState::Locked) {
        const auto locked = make_rv(CKR_PIN_LOCKED);
        throw Error(locked, "login", token.text(),
                    "no PIN was sent; the token's administrator must set a new one");
    }
    if (status.state == PinState::FinalTry && final == FinalTry::Refuse) {
        throw Error(Errc::FinalTryRefused, "login", token.text(),
                    "no PIN was sent; to spend the last try say --use-final-try");
    }
}

PinStatus Session::read_pin_status() const {
    PinStatus status{token_.read_info().pin, find_pin_tries()};
    // Some modules count and never set the flags.
    if (!status.tries) return status;
    if (status.tries->left == 0) {
        status.state = PinState::Locked;
    } else if (status.tries->left == 1 && status.state != PinState::Locked) {
        status.state = PinState::FinalTry;
    } else if (status.tries->left < status.tries->maximum && status.state == PinState::Good) {
        status.state = PinState::CountLow;
    }
    return status;
}

std::optional<PinTries> Session::find_pin_tries() const {
    try {
        const auto found =
            find_objects(Template()
                             .with<attribute::Class>(ObjectClass::HardwareFeature)
                             .with<attribute::HardwareFeature>(HardwareFeatureType::PinCounter),
                         1);
        if (found.empty()) return std::nullopt;
        const auto left = find_attribute<attribute::PinTriesLeft>(found.front());
        const auto maximum = find_attribute<attribute::PinTriesMaximum>(found.front());
        if (!left) return std::nullopt;
        return PinTries{*left, maximum.value_or(*left)};
    } catch (const Error& e) {
        // Most modules know no such object, and each says so in its own way.
        if (e.code() == Recovery::token_gone || e.code() == Recovery::session_lost) throw;
        return std::nullopt;
    }
}

LoginResult Session::login_with(const Pin* pin, FinalTry final) {
    auto& state = live_state();
    require_try(token_, read_pin_status(), final);
    const std::string_view secret = pin != nullptr ? pin->reveal_secret() : std::string_view{};
    auto* octets =
        pin != nullptr ? reinterpret_cast<unsigned char*>(const_cast<char*>(secret.data())) : nullptr;
    const CK_RV rv =
        state.try_call(&CK_FUNCTION_LIST::C_Login, static_cast<CK_SESSION_HANDLE>(handle_),
                       static_cast<CK_USER_TYPE>(CKU_USER), octets, static_cast<CK_ULONG>(secret.size()));
    if (rv != CKR_USER_ALREADY_LOGGED_IN) state.check(rv, "C_Login", token_.text());
    if (!std::exchange(logged_in_, true)) {
        const std::scoped_lock lock(state.mutex);
        ++state.logins[static_cast<unsigned long>(token_.slot())];
    }
    return rv == CKR_OK ? LoginResult::LoggedIn : LoginResult::AlreadyLoggedIn;
}

LoginResult Session::login(const Pin& pin, FinalTry final) {
    // To Cryptoki no PIN means: ask at the reader.
    if (pin.empty())
        throw Error(make_rv(CKR_PIN_LEN_RANGE), "login", token_.text(), "an empty PIN is not sent");
    return login_with(&pin, final);
}
LoginResult Session::login_at_reader(FinalTry final) {
    return login_with(nullptr, final);
}

void Session::logout() {
    auto& state = live_state();
    const bool had_login = logged_in_;
    forget_login();
    const std::scoped_lock lock(state.mutex);
    if (!had_login || state.logins.contains(static_cast<unsigned long>(token_.slot()))) return;
    const CK_RV rv = state.try_call(&CK_FUNCTION_LIST::C_Logout, static_cast<CK_SESSION_HANDLE>(handle_));
    if (rv != CKR_USER_NOT_LOGGED_IN) state.check(rv, "C_Logout", token_.text());
}

std::vector<ObjectHandle> Session::find_objects(const Template& wanted, std::size_t limit) const {
    auto& state = live_state();
    const auto session = static_cast<CK_SESSION_HANDLE>(handle_);
    auto attributes = native(wanted);
    state.check(state.try_call(&CK_FUNCTION_LIST::C_FindObjectsInit, session, attributes.data(),
                               static_cast<CK_ULONG>(attributes.size())),
                "C_FindObjectsInit", token_.text());
    std::vector<ObjectHandle> found;
    CK_RV rv = CKR_OK;
    while (found.size() < limit) {
        CK_OBJECT_HANDLE batch[64];
        CK_ULONG count = 0;
        rv = state.try_call(&CK_FUNCTION_LIST::C_FindObjects, session, batch,
                            static_cast<CK_ULONG>(std::min(std::size(batch), limit - found.size())), &count);
        if (rv != CKR_OK || count == 0) break;
        count = std::min<CK_ULONG>(count, std::size(batch));
        for (CK_ULONG i = 0; i < count; ++i) found.push_back(ObjectHandle{batch[i]});
    }
    const CK_RV end = state.try_call(&CK_FUNCTION_LIST::C_FindObjectsFinal, session);
    state.check(rv, "C_FindObjects", token_.text());
    state.check(end, "C_FindObjectsFinal", token_.text());
    return found;
}

std::optional<Bytes> Session::read_attribute(ObjectHandle object, unsigned long type) const {
    auto& state = live_state();
    CK_ATTRIBUTE attribute{type, nullptr, 0};
    const auto get_into = [&](Bytes& value) {
        attribute.pValue = value.empty() ? nullptr : value.data();
        attribute.ulValueLen = value.size();
        return state.try_call(&CK_FUNCTION_LIST::C_GetAttributeValue, static_cast<CK_SESSION_HANDLE>(handle_),
                              static_cast<CK_OBJECT_HANDLE>(object), &attribute, static_cast<CK_ULONG>(1));
    };
    // With room enough for most there is one call instead of two; and through p11-kit 0.24 the length of
    // CKA_ALLOWED_MECHANISMS alone cannot be read.
    Bytes value(kUsualRoom);
    CK_RV rv = get_into(value);
    if (rv == CKR_BUFFER_TOO_SMALL) {
        value.clear();
        rv = get_into(value);
        if (rv == CKR_OK && attribute.ulValueLen != CK_UNAVAILABLE_INFORMATION) {
            value.resize(attribute.ulValueLen);
            rv = get_into(value);
        }
    }
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE) return std::nullopt;
    state.check(rv, "C_GetAttributeValue", token_.text());
    if (attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION) return std::nullopt;
    value.resize(attribute.ulValueLen);
    return value;
}

ObjectHandle Session::create_object(const Template& attributes) {
    auto& state = live_state();
    auto list = native(attributes);
    CK_OBJECT_HANDLE object = 0;
    state.check(state.try_call(&CK_FUNCTION_LIST::C_CreateObject, static_cast<CK_SESSION_HANDLE>(handle_),
                               list.data(), static_cast<CK_ULONG>(list.size()), &object),
                "C_CreateObject", token_.text());
    return ObjectHandle{object};
}

void Session::destroy_object(ObjectHandle object) {
    auto& state = live_state();
    state.check(state.try_call(&CK_FUNCTION_LIST::C_DestroyObject, static_cast<CK_SESSION_HANDLE>(handle_),
                               static_cast<CK_OBJECT_HANDLE>(object)),
                "C_DestroyObject", token_.text());
}

Session::KeyPair Session::generate_key_pair(Mechanism mechanism, const Template& public_key,
                                            const Template& private_key) {
    auto& state = live_state();
    CK_MECHANISM native_mechanism{static_cast<CK_MECHANISM_TYPE>(mechanism), nullptr, 0};
    auto public_list = native(public_key);
    auto private_list = native(private_key);
    CK_OBJECT_HANDLE public_handle = 0;
    CK_OBJECT_HANDLE private_handle = 0;
    state.check(state.try_call(&CK_FUNCTION_LIST::C_GenerateKeyPair, static_cast<CK_SESSION_HANDLE>(handle_),
                               &native_mechanism, public_list.data(),
                               static_cast<CK_ULONG>(public_list.size()), private_list.data(),
                               static_cast<CK_ULONG>(private_list.size()), &public_handle, &private_handle),
                "C_GenerateKeyPair", token_.text());
    return {ObjectHandle{public_handle}, ObjectHandle{private_handle}};
}

void Session::login_for_operation(const ContextLogin& context) {
    auto& state = live_state();
    // No search for the counter here: it would end the signature that is under way.
    require_try(token_, {token_.read_info().pin, std::nullopt}, context.final_try);
    const std::string_view secret =
        context.pin != nullptr ? context.pin->reveal_secret() : std::string_view{};
    auto* octets =
        context.pin != nullptr ? reinterpret_cast<unsigned char*>(const_cast<char*>(secret.data())) : nullptr;
    state.check(state.try_call(&CK_FUNCTION_LIST::C_Login, static_cast<CK_SESSION_HANDLE>(handle_),
                               static_cast<CK_USER_TYPE>(CKU_CONTEXT_SPECIFIC), octets,
                               static_cast<CK_ULONG>(secret.size())),
                "C_Login", token_.text());
}

Bytes Session::sign(Mechanism mechanism, ObjectHandle key, ByteView input, std::size_t length,
                    const std::optional<ContextLogin>& context) {
    auto& state = live_state();
    const auto session = static_cast<CK_SESSION_HANDLE>(handle_);
    CK_MECHANISM native_mechanism{static_cast<CK_MECHANISM_TYPE>(mechanism), nullptr, 0};
    state.check(state.try_call(&CK_FUNCTION_LIST::C_SignInit, session, &native_mechanism,
                               static_cast<CK_OBJECT_HANDLE>(key)),
                "C_SignInit", token_.text());
    spent_ = true;  // until the signature is there: an operation that did not end may still be active
    if (context) login_for_operation(*context);
    Bytes signature(length);
    CK_ULONG size = length;
    state.check(state.try_call(&CK_FUNCTION_LIST::C_Sign, session, const_cast<std::uint8_t*>(input.data()),
                               static_cast<CK_ULONG>(input.size()), signature.data(), &size),
                "C_Sign", token_.text());
    if (size != length) {
        throw Error(Errc::WrongLength, "C_Sign", token_.text(),
                    fmt::format("{} octets instead of {}; do not use this token", size, length));
    }
    spent_ = false;
    return signature;
}

}  // namespace ctlsign::pkcs11
