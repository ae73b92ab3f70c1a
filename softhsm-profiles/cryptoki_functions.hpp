#pragma once

// The functions of CK_FUNCTION_LIST (PKCS#11 2.40) but for C_GetFunctionList, by how the module of virtual
// tokens answers them.
// clang-format off

/// About the library or a slot.
#define CTLSIGN_SLOT_FUNCTIONS(X) \
    X(C_GetInfo) X(C_GetSlotList) X(C_GetSlotInfo) X(C_GetTokenInfo) X(C_GetMechanismList) \
    X(C_GetMechanismInfo) X(C_InitToken) X(C_OpenSession) X(C_CloseAllSessions) X(C_WaitForSlotEvent)

/// About a session, with behaviour of the profile.
#define CTLSIGN_PROFILE_FUNCTIONS(X) \
    X(C_InitPIN) X(C_SetPIN) X(C_CloseSession) X(C_GetSessionInfo) X(C_Login) X(C_GetAttributeValue) \
    X(C_FindObjectsInit) X(C_FindObjects) X(C_SignInit) X(C_Sign) X(C_SignFinal) X(C_GenerateKeyPair)

/// About a session, and the token's alone.
#define CTLSIGN_TOKEN_FUNCTIONS(X) \
    X(C_GetOperationState) X(C_SetOperationState) X(C_Logout) X(C_CreateObject) X(C_CopyObject) \
    X(C_DestroyObject) X(C_GetObjectSize) X(C_SetAttributeValue) X(C_FindObjectsFinal) X(C_EncryptInit) \
    X(C_Encrypt) X(C_EncryptUpdate) X(C_EncryptFinal) X(C_DecryptInit) X(C_Decrypt) X(C_DecryptUpdate) \
    X(C_DecryptFinal) X(C_DigestInit) X(C_Digest) X(C_DigestUpdate) X(C_DigestKey) X(C_DigestFinal) \
    X(C_SignUpdate) X(C_SignRecoverInit) X(C_SignRecover) X(C_VerifyInit) X(C_Verify) X(C_VerifyUpdate) \
    X(C_VerifyFinal) X(C_VerifyRecoverInit) X(C_VerifyRecover) X(C_DigestEncryptUpdate) \
    X(C_DecryptDigestUpdate) X(C_SignEncryptUpdate) X(C_DecryptVerifyUpdate) X(C_GenerateKey) X(C_WrapKey) \
    X(C_UnwrapKey) X(C_DeriveKey) X(C_SeedRandom) X(C_GenerateRandom) X(C_GetFunctionStatus) \
    X(C_CancelFunction)

#define CTLSIGN_CRYPTOKI_FUNCTIONS(X) \
    X(C_Initialize) X(C_Finalize) CTLSIGN_SLOT_FUNCTIONS(X) CTLSIGN_PROFILE_FUNCTIONS(X) CTLSIGN_TOKEN_FUNCTIONS(X)
// clang-format on
