#include <dlfcn.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <fstream>

#include <pkcs11/descriptor.hpp>
#include <pkcs11/error.hpp>
#include <softhsm-profiles/private_copy.hpp>

namespace ctlsign::softhsm {

namespace {

// A path of the descriptor that no earlier copy had: the dynamic linker knows a library by its path, and a
// number may have been used before.
std::string unused_path(int fd) {
    static std::atomic<unsigned> copies = 0;
    return "/proc/self/fd/" + std::string(copies++, '/') + std::to_string(fd);
}

}  // namespace

CK_FUNCTION_LIST* load_private_copy(const std::string& module) {
    Descriptor memory(memfd_create("ctlsign-private-copy.so", MFD_CLOEXEC));
    const std::string path = unused_path(memory.get());
    {
        std::ifstream in(module, std::ios::binary);
        std::ofstream out(path, std::ios::binary);
        out << in.rdbuf();
        if (!memory || !in || !out.flush())
            throw Error(std::error_code(errno, std::generic_category()), "copying", module, "");
    }
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    memory = {};
    if (library == nullptr) throw Error(pkcs11::Errc::ModuleNotLoaded, "dlopen", module, dlerror());
    const auto get_list = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
    CK_FUNCTION_LIST* functions = nullptr;
    if (get_list == nullptr || get_list(&functions) != CKR_OK) {
        throw Error(pkcs11::Errc::ModuleNotLoaded, "C_GetFunctionList", module, "it is no PKCS#11 module");
    }
    return functions;
}

}  // namespace ctlsign::softhsm
