#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/mechanism_names.hpp>
#include <softhsm-profiles/module/answers.hpp>

namespace ctlsign::virtual_token {

namespace {

// Texts of CK_*_INFO are padded with blanks and have no end.
template <std::size_t N>
void fill(unsigned char (&field)[N], std::string_view text) {
    std::memset(field, ' ', N);
    std::copy_n(text.data(), std::min(text.size(), N), reinterpret_cast<char*>(field));
}
template <std::size_t N>
void replace(unsigned char (&field)[N], std::string_view text) {
    if (!text.empty()) fill(field, text);
}

// FUNCTION(token) for the token in SLOT, or why there is none.
template <typename Function>
CK_RV with_token(Module& module, CK_SLOT_ID slot, Function function) {
    const auto reader = module.find_reader(slot);
    if (!reader) return CKR_SLOT_ID_INVALID;
    if (!reader->plug) return CKR_TOKEN_NOT_PRESENT;
    if (!reader->token) return CKR_TOKEN_NOT_RECOGNIZED;
    CK_RV rv = CKR_TOKEN_NOT_RECOGNIZED;
    try {
        rv = function(reader->token);
    } catch (const Error& e) {
        module.log().write_note(e.what());  // half made, or damaged
    }
    return reader->token->gone() ? CKR_TOKEN_NOT_PRESENT : rv;
}

CK_FLAGS pin_flags(const PinCounter& counter) {
    const unsigned left = counter.left();
    CK_FLAGS flags = 0;
    if (left < counter.maximum()) flags |= CKF_USER_PIN_COUNT_LOW;
    if (left == 1) flags |= CKF_USER_PIN_FINAL_TRY;
    if (left == 0) flags |= CKF_USER_PIN_LOCKED;
    return flags;
}

void apply(Token& token, CK_TOKEN_INFO& info) {
    const softhsm::Profile& profile = token.profile();
    replace(info.manufacturerID, profile.token.manufacturer);
    replace(info.model, profile.token.model);
    replace(info.serialNumber, profile.token.serial);
    info.ulMinPinLen = profile.pin.minimum_length;
    info.ulMaxPinLen = profile.pin.maximum_length;
    if (!profile.pin.login_required) info.flags &= ~static_cast<CK_FLAGS>(CKF_LOGIN_REQUIRED);
    if (profile.pin.tries > 0) {
        info.flags &=
            ~static_cast<CK_FLAGS>(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED);
        info.flags |= pin_flags(token.pin_counter());
    }
}

bool is_rsa(CK_MECHANISM_TYPE type) {
    return softhsm::find_mechanism_name(type).find("RSA") != std::string_view::npos;
}

// A list as Cryptoki hands it out: the size alone, or as much as is asked for.
template <typename Value>
CK_RV hand_out(const std::vector<Value>& values, Value* list, CK_ULONG* count) {
    const CK_ULONG room = *count;
    *count = values.size();
    if (list == nullptr) return CKR_OK;
    if (room < values.size()) return CKR_BUFFER_TOO_SMALL;
    std::ranges::copy(values, list);
    return CKR_OK;
}

CK_RV log_in(Token& token, CK_SESSION_HANDLE inner) {
    std::string pin = token.read_pin();
    return token.call([&](CK_FUNCTION_LIST& list, CK_SLOT_ID /*slot*/) {
        return list.C_Login(inner, CKU_USER, reinterpret_cast<CK_UTF8CHAR*>(pin.data()), pin.size());
    });
}

}  // namespace

namespace answers {

CK_RV C_GetInfo(Module& module, CK_INFO* info) {
    if (info == nullptr) return CKR_ARGUMENTS_BAD;
    info->cryptokiVersion = module.cryptoki_version();
    fill(info->manufacturerID, "ctlsign");
    info->flags = 0;
    fill(info->libraryDescription, "virtual tokens");
    info->libraryVersion = {CTLSIGN_VERSION_MAJOR, CTLSIGN_VERSION_MINOR};
    return CKR_OK;
}

CK_RV C_GetSlotList(Module& module, CK_BBOOL with_token, CK_SLOT_ID* list, CK_ULONG* count) {
    if (count == nullptr) return CKR_ARGUMENTS_BAD;
    const auto refresh = list == nullptr ? Module::Refresh::Yes : Module::Refresh::No;
    return hand_out(module.list_slots(with_token != CK_FALSE, refresh), list, count);
}

CK_RV C_GetSlotInfo(Module& module, CK_SLOT_ID slot, CK_SLOT_INFO* info) {
    if (info == nullptr) return CKR_ARGUMENTS_BAD;
    const auto reader = module.find_reader(slot);
    if (!reader) return CKR_SLOT_ID_INVALID;
    fill(info->slotDescription, fmt::format("ctlsign virtual reader {}", slot & 0xFFFFU));
    fill(info->manufacturerID, "ctlsign");
    info->flags = 0;
    if (reader->plug) info->flags |= CKF_TOKEN_PRESENT;
    if (!reader->token || reader->token->profile().token.removable) info->flags |= CKF_REMOVABLE_DEVICE;
    info->hardwareVersion = info->firmwareVersion = {CTLSIGN_VERSION_MAJOR, CTLSIGN_VERSION_MINOR};
    return CKR_OK;
}

CK_RV C_GetTokenInfo(Module& module, CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
    if (info == nullptr) return CKR_ARGUMENTS_BAD;
    return with_token(module, slot, [&](const std::shared_ptr<Token>& token) {
        const CK_RV rv = token->call(
            [&](CK_FUNCTION_LIST& list, CK_SLOT_ID inner) { return list.C_GetTokenInfo(inner, info); });
        if (rv == CKR_OK) apply(*token, *info);
        return rv;
    });
}

CK_RV C_GetMechanismList(Module& module, CK_SLOT_ID slot, CK_MECHANISM_TYPE* list, CK_ULONG* count) {
    if (count == nullptr) return CKR_ARGUMENTS_BAD;
    return with_token(module, slot, [&](const std::shared_ptr<Token>& token) {
        std::vector<CK_MECHANISM_TYPE> types;
        const CK_RV rv = token->call([&](CK_FUNCTION_LIST& softhsm, CK_SLOT_ID inner) {
            CK_ULONG size = 0;
            const CK_RV sized = softhsm.C_GetMechanismList(inner, nullptr, &size);
            types.resize(size);
            return sized == CKR_OK ? softhsm.C_GetMechanismList(inner, types.data(), &size) : sized;
        });
        if (rv != CKR_OK) return rv;
        std::erase_if(types, [&](CK_MECHANISM_TYPE type) { return !token->offers(type); });
        return hand_out(types, list, count);
    });
}

CK_RV C_GetMechanismInfo(Module& module, CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO* info) {
    if (info == nullptr) return CKR_ARGUMENTS_BAD;
    return with_token(module, slot, [&](const std::shared_ptr<Token>& token) {
        if (!token->offers(type)) return CKR_MECHANISM_INVALID;
        const CK_RV rv = token->call([&](CK_FUNCTION_LIST& list, CK_SLOT_ID inner) {
            return list.C_GetMechanismInfo(inner, type, info);
        });
        if (rv == CKR_OK && token->restricts_key_sizes() && is_rsa(type)) {
            const auto [smallest, largest] = std::ranges::minmax(token->profile().key.sizes);
            info->ulMinKeySize = smallest;
            info->ulMaxKeySize = largest;
        }
        return rv;
    });
}

CK_RV C_InitToken(Module& module, CK_SLOT_ID slot, CK_UTF8CHAR* pin, CK_ULONG size, CK_UTF8CHAR* label) {
    return with_token(module, slot, [&](const std::shared_ptr<Token>& token) {
        const CK_RV rv = token->call([&](CK_FUNCTION_LIST& list, CK_SLOT_ID inner) {
            return list.C_InitToken(inner, pin, size, label);
        });
        if (rv == CKR_OK) token->pin_counter().reset();
        return rv;
    });
}

CK_RV C_OpenSession(Module& module, CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                    CK_SESSION_HANDLE* session) {
    if (session == nullptr) return CKR_ARGUMENTS_BAD;
    return with_token(module, slot, [&](const std::shared_ptr<Token>& token) {
        if (const CK_RV rv = token->admit_session(); rv != CKR_OK) return rv;
        CK_SESSION_HANDLE inner = CK_INVALID_HANDLE;
        const CK_RV rv = token->call([&](CK_FUNCTION_LIST& list, CK_SLOT_ID place) {
            return list.C_OpenSession(place, flags, application, notify, &inner);
        });
        if (rv != CKR_OK) return rv;
        if (!token->profile().pin.login_required && !token->has_sessions()) {
            if (const CK_RV login = log_in(*token, inner); login != CKR_OK) {
                token->call([&](CK_FUNCTION_LIST& list, CK_SLOT_ID) { return list.C_CloseSession(inner); });
                return login;
            }
        }
        *session = module.add_session(token, inner);
        if (*session != CK_INVALID_HANDLE) return CK_RV{CKR_OK};
        token->call([&](CK_FUNCTION_LIST& list, CK_SLOT_ID) { return list.C_CloseSession(inner); });
        return CK_RV{CKR_TOKEN_NOT_PRESENT};
    });
}

CK_RV C_CloseAllSessions(Module& module, CK_SLOT_ID slot) {
    return with_token(module, slot, [&](const std::shared_ptr<Token>& token) {
        const CK_RV rv = token->call(
            [&](CK_FUNCTION_LIST& list, CK_SLOT_ID inner) { return list.C_CloseAllSessions(inner); });
        if (rv == CKR_OK) module.remove_sessions(*token);
        return rv;
    });
}

CK_RV C_WaitForSlotEvent(Module& module, CK_FLAGS flags, CK_SLOT_ID* slot, void* reserved) {
    if (slot == nullptr || reserved != nullptr) return CKR_ARGUMENTS_BAD;
    return module.next_event((flags & CKF_DONT_BLOCK) != 0 ? Module::Wait::No : Module::Wait::Yes, *slot);
}

}  // namespace answers
}  // namespace ctlsign::virtual_token
