#include <sys/stat.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include <pkcs11/file.hpp>
#include <pkcs11/installation.hpp>
#include <pkcs11/private_files.hpp>
#include <pkcs11/store.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/limits.hpp>
#include <softhsm-profiles/virtual_folder.hpp>
#include <softhsm-profiles/virtual_plug.hpp>

namespace ctlsign::softhsm {

namespace fs = std::filesystem;

namespace {

constexpr const char* kTokenFile = "token.toml";
constexpr const char* kModule = "libctlsign-virtual-token.so";

void check_name(const std::string& name) {
    constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (name.empty() || name.size() > limits::kTokenName || name.front() == '.' ||
        name.find_first_not_of(kAllowed) != std::string::npos) {
        throw Error(Errc::BadName, "making virtual token", name,
                    "1 to 32 letters, digits, '.', '_' and '-', no '.' first");
    }
}

VirtualToken places(const fs::path& folder, const std::string& name) {
    VirtualToken token;
    token.name = name;
    token.folder = folder / "tokens" / name;
    token.pin_file = token.folder / "user-pin";
    token.certificate_file = token.folder / "certificate.pem";
    return token;
}

void write_file(const fs::path& file, std::string_view content) {
    store_file(file.string(), as_bytes(content), Readers::OwnerAlone);
}

}  // namespace

fs::path virtual_tokens_folder() {
    const char* folder = std::getenv("CTLSIGN_VIRTUAL_TOKENS");
    if (folder == nullptr || *folder == '\0') {
        throw Error(Errc::BadName, "looking for", "the folder of virtual tokens",
                    "set CTLSIGN_VIRTUAL_TOKENS to a folder");
    }
    return fs::absolute(folder).lexically_normal();
}

VirtualToken create_virtual_token(const fs::path& folder, const std::string& name, const Profile& profile,
                                  const Key& key) {
    check_name(name);
    const fs::path home = fs::absolute(folder).lexically_normal();
    VirtualToken token = places(home, name);
    make_private_folder(home);
    make_private_folder(home / "tokens");
    // Making the folder claims the name, against other processes too.
    if (mkdir(token.folder.c_str(), S_IRWXU) != 0) {
        if (errno == EEXIST) {
            throw Error(Errc::TokenExists, "making virtual token", name, "choose another name");
        }
        throw Error(std::error_code(errno, std::generic_category()), "making", token.folder.string(), "");
    }
    try {
        write_file(token.folder / "profile.toml", profile.text);
        write_file(token.pin_file, profile.pin.user);
        const Provisioned made = provision_token(token.folder / "softhsm", name, profile, {&key, 1});
        write_file(token.certificate_file, made.certificates.front().to_pem());
        token.serial = profile.token.serial.empty() ? made.serial : profile.token.serial;
        std::ostringstream description;
        description << toml::table{{"profile", profile.name}, {"label", made.label}, {"serial", token.serial}}
                    << '\n';
        write_file(token.folder / kTokenFile, description.str());
        token.profile = profile.name;
        token.label = made.label;
        token.reader = plug_virtual_token(home, name);
    } catch (...) {
        std::error_code code;
        fs::remove_all(token.folder, code);
        throw;
    }
    return token;
}

std::vector<VirtualToken> list_virtual_tokens(const fs::path& folder) {
    std::vector<VirtualToken> tokens;
    const fs::path home = fs::absolute(folder).lexically_normal();
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(home / "tokens", code)) {
        // The last file of a token to be written: without it the token is still being made.
        if (!fs::exists(entry.path() / kTokenFile)) continue;
        VirtualToken token = places(home, entry.path().filename().string());
        const Bytes text = read_file((entry.path() / kTokenFile).string(), limits::kProfile);
        try {
            const toml::table description = toml::parse(as_text(text));
            token.profile = description["profile"].value_or(std::string());
            token.label = description["label"].value_or(std::string());
            token.serial = description["serial"].value_or(std::string());
        } catch (const toml::parse_error& e) {
            throw Error(Errc::MalformedProfile, "reading", (entry.path() / kTokenFile).string(),
                        e.description());
        }
        token.reader = find_reader(home, token.name);
        tokens.push_back(std::move(token));
    }
    std::ranges::sort(tokens, {}, &VirtualToken::name);
    return tokens;
}

std::vector<std::pair<std::string, std::string>> virtual_environment(const fs::path& folder) {
    const fs::path home = fs::absolute(folder).lexically_normal();
    const auto module = find_installed_module(kModule);
    if (!module) {
        throw Error(Errc::NoVirtualModule, "looking for", kModule, "install it beside this program");
    }
    return {{"CTLSIGN_VIRTUAL_TOKENS", home.string()}, {"CTLSIGN_MODULE", module->string()}};
}

}  // namespace ctlsign::softhsm
