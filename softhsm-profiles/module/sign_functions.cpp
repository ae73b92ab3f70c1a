#include <functional>

#include <softhsm-profiles/module/answers.hpp>

namespace ctlsign::virtual_token::answers {

namespace {

// The end of a signature: SIGN writes it to SIGNATURE. A null SIGNATURE asks for its length only.
CK_RV finish(SessionCall& call, CK_BYTE* signature, const CK_ULONG* size,
             const std::function<CK_RV()>& sign) {
    if (signature != nullptr && !call.module.pause(call.profile().behaviour.latency, &call.token()))
        return CKR_DEVICE_REMOVED;
    const CK_RV rv = sign();
    const bool goes_on = rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && signature == nullptr);
    if (!goes_on) call.token().end_operation(call.handle);
    if (rv != CKR_OK || signature == nullptr || call.token().gone()) return rv;
    if (call.corrupt) signature[*size - 1] ^= 1;
    call.afterwards = call.module.faults().on_signature();
    return rv;
}

}  // namespace

CK_RV C_SignInit(SessionCall& call, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
    if (call.profile().behaviour.no_combined_sha1 && mechanism != nullptr &&
        mechanism->mechanism == CKM_SHA1_RSA_PKCS) {
        return CKR_ARGUMENTS_BAD;
    }
    const auto turn = call.token().begin_operation(call.handle);
    if (turn == Token::Turn::Busy) return CKR_FUNCTION_CANCELED;
    const CK_RV rv = call.pass(&CK_FUNCTION_LIST::C_SignInit, mechanism, key);
    if (rv != CKR_OK && turn == Token::Turn::Begun) call.token().end_operation(call.handle);
    return rv;
}

CK_RV C_Sign(SessionCall& call, CK_BYTE* data, CK_ULONG data_size, CK_BYTE* signature, CK_ULONG* size) {
    return finish(call, signature, size,
                  [&] { return call.pass(&CK_FUNCTION_LIST::C_Sign, data, data_size, signature, size); });
}

CK_RV C_SignFinal(SessionCall& call, CK_BYTE* signature, CK_ULONG* size) {
    if (call.profile().behaviour.no_sign_final) return CKR_FUNCTION_NOT_SUPPORTED;
    return finish(call, signature, size,
                  [&] { return call.pass(&CK_FUNCTION_LIST::C_SignFinal, signature, size); });
}

}  // namespace ctlsign::virtual_token::answers
