#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/staging_folder.hpp>

namespace ctlsign::softhsm {

StagingFolder::StagingFolder(const std::filesystem::path& folder) {
    std::string name = (folder / ".new-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
        throw Error(std::error_code(errno, std::generic_category()), "making a folder in", folder.string(),
                    "");
    }
    path_ = name;
}

StagingFolder::~StagingFolder() {
    std::error_code code;
    std::filesystem::remove_all(path_, code);
}

}  // namespace ctlsign::softhsm
