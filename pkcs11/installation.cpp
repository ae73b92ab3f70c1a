#include <dlfcn.h>
#include <link.h>

#include <string>
#include <system_error>

#include <pkcs11/installation.hpp>

namespace ctlsign {

std::optional<std::filesystem::path> find_installed(std::string_view relative) {
    Dl_info info{};
    void* found = nullptr;
    if (dladdr1(reinterpret_cast<const void*>(&find_installed), &info, &found, RTLD_DL_LINKMAP) == 0)
        return std::nullopt;
    // The program has no name here, and elsewhere the one that it was called by, which may be that of a file
    // in the folder where it was called.
    const std::string library = static_cast<const link_map*>(found)->l_name;
    std::error_code ignored;
    std::filesystem::path folder =
        std::filesystem::canonical(library.empty() ? "/proc/self/exe" : library, ignored).parent_path();
    // A program stands one folder below the prefix, a library one or two (lib, lib/x86_64-linux-gnu).
    for (int level = 0; level < 2; ++level) {
        folder = folder.parent_path();
        if (std::filesystem::exists(folder / relative, ignored)) return folder / relative;
    }
    return std::nullopt;
}

std::optional<std::filesystem::path> find_installed_module(std::string_view name) {
    return find_installed(std::string(CTLSIGN_LIBRARY_FOLDER "/ctlsign/").append(name));
}

}  // namespace ctlsign
