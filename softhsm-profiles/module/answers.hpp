#pragma once

#include <p11-kit/pkcs11.h>

#include <memory>
#include <optional>
#include <type_traits>

#include <softhsm-profiles/fault.hpp>
#include <softhsm-profiles/module/module.hpp>

namespace ctlsign::virtual_token {

/// A call about a session, while it runs.
struct SessionCall {
    Module& module;
    CK_SESSION_HANDLE handle;
    std::shared_ptr<Session> session;
    bool corrupt = false;                                     ///< the fault script wants its result broken
    std::optional<softhsm::Fault> afterwards = std::nullopt;  ///< to be fired when the call has been answered

    Token& token() const { return *session->token; }
    const softhsm::Profile& profile() const { return token().profile(); }

    /// What the token's own SoftHSM2 answers to FUNCTION.
    template <typename Function, typename... Arguments>
    CK_RV pass(Function CK_FUNCTION_LIST::*function, Arguments... arguments) const {
        [[maybe_unused]] const auto refused = [this](auto argument) {
            if constexpr (std::is_same_v<decltype(argument), CK_MECHANISM*>) {
                return argument != nullptr && !token().offers(argument->mechanism);
            } else {
                return false;
            }
        };
        if ((refused(arguments) || ...)) return CKR_MECHANISM_INVALID;
        return token().call([&](CK_FUNCTION_LIST& list, CK_SLOT_ID /*slot*/) {
            return (list.*function)(session->inner, arguments...);
        });
    }
};

/// The answers of this module to the functions that it does not just pass on, by their names. Those of slots
/// get the module and the arguments; those of sessions get the call and the arguments behind the session.
namespace answers {

CK_RV C_GetInfo(Module& module, CK_INFO* info);
CK_RV C_GetSlotList(Module& module, CK_BBOOL with_token, CK_SLOT_ID* list, CK_ULONG* count);
CK_RV C_GetSlotInfo(Module& module, CK_SLOT_ID slot, CK_SLOT_INFO* info);
CK_RV C_GetTokenInfo(Module& module, CK_SLOT_ID slot, CK_TOKEN_INFO* info);
CK_RV C_GetMechanismList(Module& module, CK_SLOT_ID slot, CK_MECHANISM_TYPE* list, CK_ULONG* count);
CK_RV C_GetMechanismInfo(Module& module, CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO* info);
CK_RV C_InitToken(Module& module, CK_SLOT_ID slot, CK_UTF8CHAR* pin, CK_ULONG size, CK_UTF8CHAR* label);
CK_RV C_OpenSession(Module& module, CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                    CK_SESSION_HANDLE* session);
CK_RV C_CloseAllSessions(Module& module, CK_SLOT_ID slot);
CK_RV C_WaitForSlotEvent(Module& module, CK_FLAGS flags, CK_SLOT_ID* slot, void* reserved);

CK_RV C_CloseSession(SessionCall& call);
CK_RV C_GetSessionInfo(SessionCall& call, CK_SESSION_INFO* info);
CK_RV C_Login(SessionCall& call, CK_USER_TYPE user, CK_UTF8CHAR* pin, CK_ULONG size);
CK_RV C_InitPIN(SessionCall& call, CK_UTF8CHAR* pin, CK_ULONG size);
CK_RV C_SetPIN(SessionCall& call, CK_UTF8CHAR* old_pin, CK_ULONG old_size, CK_UTF8CHAR* new_pin,
               CK_ULONG new_size);

CK_RV C_FindObjectsInit(SessionCall& call, CK_ATTRIBUTE* wanted, CK_ULONG count);
CK_RV C_FindObjects(SessionCall& call, CK_OBJECT_HANDLE* objects, CK_ULONG room, CK_ULONG* count);
CK_RV C_GetAttributeValue(SessionCall& call, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes,
                          CK_ULONG count);
CK_RV C_GenerateKeyPair(SessionCall& call, CK_MECHANISM* mechanism, CK_ATTRIBUTE* public_attributes,
                        CK_ULONG public_count, CK_ATTRIBUTE* private_attributes, CK_ULONG private_count,
                        CK_OBJECT_HANDLE* public_key, CK_OBJECT_HANDLE* private_key);

CK_RV C_SignInit(SessionCall& call, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key);
CK_RV C_Sign(SessionCall& call, CK_BYTE* data, CK_ULONG data_size, CK_BYTE* signature, CK_ULONG* size);
CK_RV C_SignFinal(SessionCall& call, CK_BYTE* signature, CK_ULONG* size);

}  // namespace answers
}  // namespace ctlsign::virtual_token
