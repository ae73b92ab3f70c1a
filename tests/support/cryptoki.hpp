#pragma once

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <pkcs11/bytes.hpp>

namespace ctlsign::testing {

/// Bare Cryptoki for tests that must not rely on the library under test: a module by its path, initialised at
/// first and finalized at the end.
class Cryptoki {
  public:
    /// SoftHSM2 with CONFIGURATION as its SOFTHSM2_CONF.
    Cryptoki(const std::string& module, const std::string& configuration)
        : Cryptoki((setenv("SOFTHSM2_CONF", configuration.c_str(), 1), module)) {}
    explicit Cryptoki(const std::string& module) {
        library_ = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (library_ == nullptr) throw std::runtime_error(dlerror());
        const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library_, "C_GetFunctionList"));
        must(get(&functions_), "C_GetFunctionList");
        CK_C_INITIALIZE_ARGS arguments{};
        arguments.flags = CKF_OS_LOCKING_OK;
        must(functions_->C_Initialize(&arguments), "C_Initialize");
    }
    ~Cryptoki() { functions_->C_Finalize(nullptr); }
    Cryptoki(const Cryptoki&) = delete;
    Cryptoki& operator=(const Cryptoki&) = delete;

    CK_FUNCTION_LIST* operator->() const { return functions_; }

    static void must(CK_RV rv, const char* function) {
        if (rv != CKR_OK) throw std::runtime_error(std::string(function) + " answered " + std::to_string(rv));
    }

    /// The slots of initialised tokens.
    std::vector<CK_SLOT_ID> tokens() const {
        CK_ULONG count = 0;
        must(functions_->C_GetSlotList(CK_TRUE, nullptr, &count), "C_GetSlotList");
        std::vector<CK_SLOT_ID> slots(count);
        must(functions_->C_GetSlotList(CK_TRUE, slots.data(), &count), "C_GetSlotList");
        std::erase_if(slots,
                      [&](CK_SLOT_ID slot) { return (info(slot).flags & CKF_TOKEN_INITIALIZED) == 0; });
        return slots;
    }
    CK_TOKEN_INFO info(CK_SLOT_ID slot) const {
        CK_TOKEN_INFO info{};
        must(functions_->C_GetTokenInfo(slot, &info), "C_GetTokenInfo");
        return info;
    }
    CK_SESSION_HANDLE open(CK_SLOT_ID slot, CK_FLAGS access = 0) const {
        CK_SESSION_HANDLE session = 0;
        must(functions_->C_OpenSession(slot, CKF_SERIAL_SESSION | access, nullptr, nullptr, &session),
             "C_OpenSession");
        return session;
    }
    CK_RV login(CK_SESSION_HANDLE session, std::string pin, CK_USER_TYPE user = CKU_USER) const {
        return functions_->C_Login(session, user, reinterpret_cast<CK_UTF8CHAR*>(pin.data()), pin.size());
    }
    std::vector<CK_OBJECT_HANDLE> find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS kind) const {
        CK_ATTRIBUTE wanted{CKA_CLASS, &kind, sizeof kind};
        must(functions_->C_FindObjectsInit(session, &wanted, 1), "C_FindObjectsInit");
        std::vector<CK_OBJECT_HANDLE> objects(64);
        CK_ULONG count = 0;
        must(functions_->C_FindObjects(session, objects.data(), objects.size(), &count), "C_FindObjects");
        must(functions_->C_FindObjectsFinal(session), "C_FindObjectsFinal");
        objects.resize(count);
        return objects;
    }
    Bytes get(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
        CK_ATTRIBUTE attribute{type, nullptr, 0};
        must(functions_->C_GetAttributeValue(session, object, &attribute, 1), "C_GetAttributeValue");
        Bytes value(attribute.ulValueLen);
        attribute.pValue = value.data();
        must(functions_->C_GetAttributeValue(session, object, &attribute, 1), "C_GetAttributeValue");
        return value;
    }
    CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key) const {
        CK_MECHANISM mechanism{type, nullptr, 0};
        return functions_->C_SignInit(session, &mechanism, key);
    }
    Bytes sign(CK_SESSION_HANDLE session, ByteView message) const {
        Bytes data(message.begin(), message.end());
        Bytes signature(1024);
        CK_ULONG size = signature.size();
        must(functions_->C_Sign(session, data.data(), data.size(), signature.data(), &size), "C_Sign");
        signature.resize(size);
        return signature;
    }

  private:
    void* library_ = nullptr;
    CK_FUNCTION_LIST* functions_ = nullptr;
};

}  // namespace ctlsign::testing
