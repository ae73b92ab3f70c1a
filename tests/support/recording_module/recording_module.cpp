// A PKCS#11 module that forwards every call to another one and writes down which calls were made.
//
//   RECORD_MODULE  the module behind it
//   RECORD_LOG     a file; one line is appended for each call: the function and its answer, never an argument
//   RECORD_FAIL    answers instead of the module: "C_Sign#1=0x70,C_Login#2+=0xA0" for the first such call,
//   and for the second and all after it; "=0" is success without anything done
//   RECORD_READER_PIN  what is entered at the reader: its tokens have a protected authentication path
#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

// The functions of CK_FUNCTION_LIST (PKCS#11 2.40), in its order, without C_GetFunctionList.
// clang-format off
#define RECORDED_FUNCTIONS(X)                                                                                \
    X(C_Initialize)                                                                                          \
    X(C_Finalize)                                                                                            \
    X(C_GetInfo) X(C_GetSlotList) X(C_GetSlotInfo) X(C_GetTokenInfo) X(C_GetMechanismList)                   \
        X(C_GetMechanismInfo) X(C_InitToken) X(C_InitPIN) X(C_SetPIN) X(C_OpenSession) X(C_CloseSession) X(  \
            C_CloseAllSessions) X(C_GetSessionInfo) X(C_GetOperationState) X(C_SetOperationState) X(C_Login) \
            X(C_Logout) X(C_CreateObject) X(C_CopyObject) X(C_DestroyObject) X(C_GetObjectSize)              \
                X(C_GetAttributeValue) X(C_SetAttributeValue) X(C_FindObjectsInit) X(C_FindObjects)          \
                    X(C_FindObjectsFinal) X(C_EncryptInit) X(C_Encrypt) X(C_EncryptUpdate) X(C_EncryptFinal) \
                        X(C_DecryptInit) X(C_Decrypt) X(C_DecryptUpdate) X(C_DecryptFinal) X(C_DigestInit)   \
                            X(C_Digest) X(C_DigestUpdate) X(C_DigestKey) X(C_DigestFinal) X(C_SignInit)      \
                                X(C_Sign) X(C_SignUpdate) X(C_SignFinal) X(C_SignRecoverInit)                \
                                    X(C_SignRecover) X(C_VerifyInit) X(C_Verify) X(C_VerifyUpdate)           \
                                        X(C_VerifyFinal) X(C_VerifyRecoverInit) X(C_VerifyRecover)           \
                                            X(C_DigestEncryptUpdate) X(C_DecryptDigestUpdate)                \
                                                X(C_SignEncryptUpdate) X(C_DecryptVerifyUpdate)              \
                                                    X(C_GenerateKey) X(C_GenerateKeyPair) X(C_WrapKey)       \
                                                        X(C_UnwrapKey) X(C_DeriveKey) X(C_SeedRandom)        \
                                                            X(C_GenerateRandom) X(C_GetFunctionStatus)       \
                                                                X(C_CancelFunction) X(C_WaitForSlotEvent)
// clang-format on

namespace {

CK_FUNCTION_LIST* target = nullptr;

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view() : std::string_view(value);
}

// One write a line: lines of several threads and processes do not mix.
void record(std::string_view function, CK_RV rv) {
    std::array<char, 96> line{};
    const int size = std::snprintf(line.data(), line.size(), "%.*s 0x%lx\n",
                                   static_cast<int>(function.size()), function.data(), rv);
    const int fd = open(std::getenv("RECORD_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (size < 0 || fd < 0 || write(fd, line.data(), static_cast<std::size_t>(size)) != size) std::abort();
    close(fd);
}

// The answer that RECORD_FAIL has for this call of FUNCTION.
std::optional<CK_RV> injected(std::string_view function, unsigned call) {
    const std::string prefix = std::string(function) + "#";
    std::string_view rest = variable("RECORD_FAIL");
    while (!rest.empty()) {
        const std::string_view rule = rest.substr(0, rest.find(','));
        if (rule.starts_with(prefix)) {
            char* end = nullptr;
            const unsigned long from = std::strtoul(rule.data() + prefix.size(), &end, 10);
            const bool and_later = *end == '+';
            if (call == from || (and_later && call > from))
                return std::strtoul(end + (and_later ? 2 : 1), nullptr, 0);
        }
        rest.remove_prefix(rule.size() == rest.size() ? rule.size() : rule.size() + 1);
    }
    return std::nullopt;
}

template <typename Forward>
CK_RV pass(std::string_view function, std::atomic<unsigned>& calls, Forward forward) {
    const auto answer = injected(function, ++calls);
    const CK_RV rv = answer ? *answer : forward();
    record(function, rv);
    return rv;
}

// One thunk for each member of the function list; its arguments are those of the member.
template <auto Member, const char* Name, typename Function>
struct Thunk;
template <auto Member, const char* Name, typename... Arguments>
struct Thunk<Member, Name, CK_RV (*)(Arguments...)> {
    static CK_RV call(Arguments... arguments) {
        static std::atomic<unsigned> calls = 0;
        return pass(Name, calls, [&] { return (target->*Member)(arguments...); });
    }
};

#define NAME_OF(function) constexpr char kName_##function[] = #function;
RECORDED_FUNCTIONS(NAME_OF)

CK_RV load_target() {
    if (target != nullptr) return CKR_OK;
    void* library = dlopen(std::string(variable("RECORD_MODULE")).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        std::fprintf(stderr, "recording module: %s\n", dlerror());
        return CKR_GENERAL_ERROR;
    }
    const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
    return get == nullptr ? CKR_GENERAL_ERROR : get(&target);
}

CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
    const CK_RV rv =
        Thunk<&CK_FUNCTION_LIST::C_GetTokenInfo, kName_C_GetTokenInfo, CK_C_GetTokenInfo>::call(slot, info);
    if (rv == CKR_OK && !variable("RECORD_READER_PIN").empty())
        info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
    return rv;
}

CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char* pin, CK_ULONG size) {
    std::string entered(variable("RECORD_READER_PIN"));
    const bool at_reader = !entered.empty() && pin == nullptr;
    return Thunk<&CK_FUNCTION_LIST::C_Login, kName_C_Login, CK_C_Login>::call(
        session, user, at_reader ? reinterpret_cast<unsigned char*>(entered.data()) : pin,
        at_reader ? entered.size() : size);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
    static std::atomic<unsigned> calls = 0;
    static CK_FUNCTION_LIST functions = [] {
        CK_FUNCTION_LIST made{};
        made.version = {2, 40};
        made.C_GetFunctionList = C_GetFunctionList;
#define FILL(function) \
    made.function = Thunk<&CK_FUNCTION_LIST::function, kName_##function, CK_##function>::call;
        RECORDED_FUNCTIONS(FILL)
        made.C_GetTokenInfo = get_token_info;
        made.C_Login = login;
        return made;
    }();
    return pass("C_GetFunctionList", calls, [&] {
        *list = &functions;
        return load_target();
    });
}
