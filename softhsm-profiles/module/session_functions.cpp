#include <softhsm-profiles/module/answers.hpp>

namespace ctlsign::virtual_token::answers {

namespace {

bool has_length(const softhsm::Profile& profile, CK_ULONG size) {
    return size >= profile.pin.minimum_length && size <= profile.pin.maximum_length;
}

}  // namespace

CK_RV C_CloseSession(SessionCall& call) {
    const CK_RV rv = call.pass(&CK_FUNCTION_LIST::C_CloseSession);
    if (rv == CKR_OK) call.module.remove_session(call.handle);
    return rv;
}

CK_RV C_GetSessionInfo(SessionCall& call, CK_SESSION_INFO* info) {
    const CK_RV rv = call.pass(&CK_FUNCTION_LIST::C_GetSessionInfo, info);
    if (rv == CKR_OK) info->slotID = call.module.find_slot(call.token()).value_or(info->slotID);
    return rv;
}

CK_RV C_Login(SessionCall& call, CK_USER_TYPE user, CK_UTF8CHAR* pin, CK_ULONG size) {
    const auto login = [&] { return call.pass(&CK_FUNCTION_LIST::C_Login, user, pin, size); };
    return user == CKU_SO ? login() : call.token().pin_counter().spend(login);
}

CK_RV C_InitPIN(SessionCall& call, CK_UTF8CHAR* pin, CK_ULONG size) {
    if (!has_length(call.profile(), size)) return CKR_PIN_LEN_RANGE;
    const CK_RV rv = call.pass(&CK_FUNCTION_LIST::C_InitPIN, pin, size);
    if (rv == CKR_OK) call.token().pin_counter().reset();
    return rv;
}

CK_RV C_SetPIN(SessionCall& call, CK_UTF8CHAR* old_pin, CK_ULONG old_size, CK_UTF8CHAR* new_pin,
               CK_ULONG new_size) {
    if (!has_length(call.profile(), new_size)) return CKR_PIN_LEN_RANGE;
    CK_SESSION_INFO info{};
    const CK_RV rv = call.pass(&CK_FUNCTION_LIST::C_GetSessionInfo, &info);
    if (rv != CKR_OK) return rv;
    const auto change = [&] {
        return call.pass(&CK_FUNCTION_LIST::C_SetPIN, old_pin, old_size, new_pin, new_size);
    };
    // In a session of the security officer it is his own PIN that changes.
    return info.state == CKS_RW_SO_FUNCTIONS ? change() : call.token().pin_counter().spend(change);
}

}  // namespace ctlsign::virtual_token::answers
