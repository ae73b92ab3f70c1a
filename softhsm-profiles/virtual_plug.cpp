#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <pkcs11/private_files.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/limits.hpp>
#include <softhsm-profiles/virtual_plug.hpp>

namespace ctlsign::softhsm {

namespace fs = std::filesystem;

namespace {

void require_token(const fs::path& folder, const std::string& token) {
    if (token.empty() || token.find('/') != std::string::npos ||
        !fs::is_directory(folder / "tokens" / token)) {
        throw Error(Errc::NoSuchToken, "looking for virtual token", token, "see: ctlsign virtual list");
    }
}

// symlink() makes the link only where none is, whoever else is plugging.
bool try_plug(const fs::path& folder, const std::string& token, unsigned reader) {
    const fs::path link = link_of_reader(folder, reader);
    make_private_folder(link.parent_path());
    if (symlink(("../../tokens/" + token).c_str(), link.c_str()) == 0) return true;
    if (errno == EEXIST) return false;
    throw Error(std::error_code(errno, std::generic_category()), "plugging", link.string(), "");
}

}  // namespace

fs::path link_of_reader(const fs::path& folder, unsigned reader) {
    return folder / "readers" / std::to_string(reader) / "token";
}

std::optional<unsigned> find_reader_number(const std::string& name) {
    if (name.empty() || name.size() > limits::kReaderDigits ||
        name.find_first_not_of("0123456789") != std::string::npos) {
        return std::nullopt;
    }
    return static_cast<unsigned>(std::stoul(name));
}

std::optional<unsigned> find_reader(const fs::path& folder, const std::string& token) {
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder / "readers", code)) {
        const auto number = find_reader_number(entry.path().filename().string());
        if (!number) continue;
        const fs::path target = fs::read_symlink(entry.path() / "token", code);
        if (!code && target.filename() == token) return number;
    }
    return std::nullopt;
}

unsigned plug_virtual_token(const fs::path& folder, const std::string& token,
                            std::optional<unsigned> reader) {
    require_token(folder, token);
    if (const auto where = find_reader(folder, token)) {
        throw Error(Errc::TokenPlugged, "plugging virtual token", token,
                    "it is in reader " + std::to_string(*where));
    }
    if (!reader) {
        for (unsigned first = 0;; ++first) {
            if (try_plug(folder, token, first)) return first;
        }
    }
    if (!find_reader_number(std::to_string(*reader))) {
        throw Error(Errc::BadName, "plugging virtual token", token, "readers have numbers from 0 to 9999");
    }
    if (try_plug(folder, token, *reader)) return *reader;
    throw Error(Errc::ReaderOccupied, "plugging virtual token", token,
                "another one is in reader " + std::to_string(*reader));
}

unsigned unplug_virtual_token(const fs::path& folder, const std::string& token) {
    require_token(folder, token);
    const auto reader = find_reader(folder, token);
    const fs::path link = reader ? link_of_reader(folder, *reader) : fs::path();
    if (reader && unlink(link.c_str()) == 0) return *reader;
    if (reader && errno != ENOENT)
        throw Error(std::error_code(errno, std::generic_category()), "unplugging", link.string(), "");
    throw Error(Errc::TokenUnplugged, "unplugging virtual token", token, "see: ctlsign virtual list");
}

}  // namespace ctlsign::softhsm
