#include <fmt/format.h>

#include <filesystem>
#include <map>

#include <cli/config.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign::cli {

namespace fs = std::filesystem;

std::vector<std::string> names_below_root(const std::vector<std::string>& files, const Places& places) {
    std::vector<std::string> names;
    for (const std::string& file : files) {
        if (places.root.empty()) {
            names.push_back(fs::path(file).filename().string());
            continue;
        }
        const fs::path name = fs::absolute(file).lexically_normal().lexically_relative(
            fs::absolute(places.root).lexically_normal());
        if (name.empty() || *name.begin() == "..")
            throw UsageError(fmt::format("{} is not below --root {}", file, places.root));
        names.push_back(name.string());
    }
    return names;
}

std::vector<std::string> targets_for(const std::vector<std::string>& files,
                                     const std::vector<std::string>& target_names, const Places& places) {
    std::vector<std::string> targets;
    std::map<std::string, std::size_t> taken;
    for (std::size_t i = 0; i < files.size(); ++i) {
        fs::path target = fs::path(files[i]).parent_path() / fs::path(target_names[i]).filename();
        if (!places.folder.empty()) {
            target = fs::path(places.folder) / target_names[i];
            std::error_code error;
            fs::create_directories(target.parent_path(), error);
            if (error) throw Error(error, "mkdir", target.parent_path().string(), "choose another -d FOLDER");
        }
        const auto [other, is_new] = taken.emplace(target.lexically_normal().string(), i);
        if (!is_new) {
            throw UsageError(fmt::format("{} and {} would both be written to {}", files[other->second],
                                         files[i], target.string()));
        }
        targets.push_back(target.string());
    }
    return targets;
}

void add_place_options(Command command, Places& places) {
    command.add_option("-d,--folder", places.folder, "Write there, instead of beside each file")
        .type_name("FOLDER");
    command
        .add_option("--root", places.root,
                    "The folder that phones download from: names in headers are relative to it")
        .type_name("FOLDER");
}

void add_config_commands(Command command, Action& action) {
    add_config_sign(command, action);
    add_config_verify(command, action);
    add_config_strip(command, action);
}

}  // namespace ctlsign::cli
