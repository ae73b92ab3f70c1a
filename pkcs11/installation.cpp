#include <dlfcn.h>

#include <string>
#include <system_error>

#include <pkcs11/installation.hpp>

namespace ctlsign {

std::optional<std::filesystem::path> find_installed(std::string_view relative) {
    Dl_info info{};
    if (dladdr(reinterpret_cast<const void*>(&find_installed), &info) == 0 || info.dli_fname == nullptr)
        return std::nullopt;
    std::error_code ignored;
    std::filesystem::path folder = std::filesystem::canonical(info.dli_fname, ignored).parent_path();
    if (ignored) folder = std::filesystem::canonical("/proc/self/exe", ignored).parent_path();
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
