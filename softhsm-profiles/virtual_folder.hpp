#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sast/certificate.hpp>
#include <softhsm-profiles/provision.hpp>

namespace ctlsign::softhsm {

/// One token of a folder of virtual tokens.
struct VirtualToken {
    std::string name;
    std::string profile;  ///< its name
    std::string label;
    std::string serial;
    std::optional<unsigned> reader;          ///< in which it is plugged
    std::filesystem::path folder;            ///< tokens/NAME
    std::filesystem::path pin_file;          ///< the user PIN of the profile, for --pin-source
    std::filesystem::path certificate_file;  ///< PEM, of its key
};

/// The folder that CTLSIGN_VIRTUAL_TOKENS names. Throws Errc::BadName when it names none.
std::filesystem::path virtual_tokens_folder();

/// Makes a token in FOLDER and plugs it into the first empty reader. NAME is a file name of at most 32
/// octets. Throws Errc::TokenExists, Errc::BadName and what provision_token() throws; on failure nothing is
/// left.
VirtualToken create_virtual_token(const std::filesystem::path& folder, const std::string& name,
                                  const Profile& profile, const Key& key);

/// The tokens of FOLDER, by name. A folder that is not there has none.
std::vector<VirtualToken> list_virtual_tokens(const std::filesystem::path& folder);

/// The variables that let a program see the tokens of FOLDER, name and value.
std::vector<std::pair<std::string, std::string>> virtual_environment(const std::filesystem::path& folder);

}  // namespace ctlsign::softhsm
