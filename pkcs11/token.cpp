#include <fmt/format.h>

#include <utility>

#include <pkcs11/bytes.hpp>
#include <pkcs11/cryptoki.hpp>
#include <pkcs11/digest.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

std::string_view to_text(PinState state) noexcept {
    switch (state) {
        case PinState::Good:
            return "good";
        case PinState::CountLow:
            return "a wrong PIN was entered";
        case PinState::FinalTry:
            return "one try left";
        case PinState::Locked:
            return "locked";
        case PinState::NotInitialized:
            return "not set";
    }
    return "unknown";
}

static PinState pin_state(CK_FLAGS flags) {
    if ((flags & CKF_USER_PIN_LOCKED) != 0) return PinState::Locked;
    if ((flags & CKF_USER_PIN_FINAL_TRY) != 0) return PinState::FinalTry;
    if ((flags & CKF_USER_PIN_COUNT_LOW) != 0) return PinState::CountLow;
    if ((flags & CKF_USER_PIN_INITIALIZED) == 0) return PinState::NotInitialized;
    return PinState::Good;
}

static TokenInfo from_cryptoki(const CK_TOKEN_INFO& info) {
    const auto version = [](const CK_VERSION& v) { return fmt::format("{}.{}", v.major, v.minor); };
    return {.label = from_padded(info.label),
            .manufacturer = from_padded(info.manufacturerID),
            .model = from_padded(info.model),
            .serial = from_padded(info.serialNumber),
            .hardware_version = version(info.hardwareVersion),
            .firmware_version = version(info.firmwareVersion),
            .pin = pin_state(info.flags),
            .pin_to_be_changed = (info.flags & CKF_USER_PIN_TO_BE_CHANGED) != 0,
            .login_required = (info.flags & CKF_LOGIN_REQUIRED) != 0,
            .protected_authentication_path = (info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0,
            .write_protected = (info.flags & CKF_WRITE_PROTECTED) != 0,
            .initialized = (info.flags & CKF_TOKEN_INITIALIZED) != 0,
            .min_pin = info.ulMinPinLen,
            .max_pin = info.ulMaxPinLen};
}

std::optional<TokenInfo> Module::find_token_info(SlotId slot) const {
    state_->adopt_process();
    CK_TOKEN_INFO info{};
    const CK_RV rv =
        state_->try_call(&CK_FUNCTION_LIST::C_GetTokenInfo, static_cast<CK_SLOT_ID>(slot), &info);
    if (rv == CKR_OK) return from_cryptoki(info);
    if (make_rv(rv) == Recovery::token_gone) return std::nullopt;
    state_->check(rv, "C_GetTokenInfo", fmt::format("slot {}", static_cast<CK_SLOT_ID>(slot)));
    return std::nullopt;
}

bool TokenInfo::same_token(const TokenInfo& other) const noexcept {
    return serial == other.serial && manufacturer == other.manufacturer && label == other.label;
}

std::string TokenInfo::file_name() const {
    // A token without a serial number is told by its label.
    const std::string& who = serial.empty() ? label : serial;
    const ByteView parts[] = {as_bytes(manufacturer), as_bytes("\n"), as_bytes(who)};
    return to_hex(compute_digest(Digest::Sha256, parts)).substr(0, 32);
}

Token::Token(std::shared_ptr<Module> module, SlotId slot, TokenInfo info)
    : module_(std::move(module)),
      slot_(slot),
      info_(std::move(info)),
      text_(fmt::format("token {} (serial {})", printable(info_.label), printable(info_.serial))) {}

TokenInfo Token::read_info() const {
    auto& state = module_->state();
    state.adopt_process();
    CK_TOKEN_INFO info{};
    state.check(state.try_call(&CK_FUNCTION_LIST::C_GetTokenInfo, static_cast<CK_SLOT_ID>(slot_), &info),
                "C_GetTokenInfo", text_);
    return from_cryptoki(info);
}

std::vector<Mechanism> Token::mechanisms() const {
    auto& state = module_->state();
    state.adopt_process();
    const auto slot = static_cast<CK_SLOT_ID>(slot_);
    CK_ULONG count = 0;
    CK_MECHANISM_TYPE* none = nullptr;
    state.check(state.try_call(&CK_FUNCTION_LIST::C_GetMechanismList, slot, none, &count),
                "C_GetMechanismList", text_);
    // One more than asked for: p11-kit's client (0.24) reads past the end when it leaves mechanisms out.
    std::vector<CK_MECHANISM_TYPE> types(count + 1);
    state.check(state.try_call(&CK_FUNCTION_LIST::C_GetMechanismList, slot, types.data(), &count),
                "C_GetMechanismList", text_);
    types.resize(std::min<std::size_t>(count, types.size()));
    std::vector<Mechanism> list;
    list.reserve(types.size());
    for (const CK_MECHANISM_TYPE type : types) list.push_back(Mechanism{type});
    return list;
}

std::optional<MechanismInfo> Token::find_mechanism(Mechanism mechanism) const {
    auto& state = module_->state();
    state.adopt_process();
    CK_MECHANISM_INFO info{};
    const CK_RV rv = state.try_call(&CK_FUNCTION_LIST::C_GetMechanismInfo, static_cast<CK_SLOT_ID>(slot_),
                                    static_cast<CK_MECHANISM_TYPE>(mechanism), &info);
    if (rv == CKR_MECHANISM_INVALID) return std::nullopt;
    state.check(rv, "C_GetMechanismInfo", text_);
    return MechanismInfo{.mechanism = mechanism,
                         .min_key_bits = info.ulMinKeySize,
                         .max_key_bits = info.ulMaxKeySize,
                         .can_sign = (info.flags & CKF_SIGN) != 0,
                         .hardware = (info.flags & CKF_HW) != 0};
}

}  // namespace ctlsign::pkcs11
