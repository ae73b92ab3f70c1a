#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include <cli/batch.hpp>
#include <cli/config.hpp>
#include <cli/input.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>

namespace ctlsign::cli {

namespace {

struct Options {
    std::vector<std::string> files;
    Places places;
    unsigned jobs = 1;
    Answer overwrite = Answer::Ask;
    Format format = Format::AsText;
};

std::string stripped_name(const std::string& name) {
    constexpr std::string_view kSuffix = ".sgn";
    if (name.size() <= kSuffix.size() || !name.ends_with(kSuffix))
        throw UsageError(fmt::format("{}: the name of a signed file ends with .sgn", name));
    return name.substr(0, name.size() - kSuffix.size());
}

// A payload that somebody has changed since is not overwritten without being asked.
bool would_lose(const std::string& target, ByteView payload) {
    return std::filesystem::exists(target) && !equal(read_input(target).bytes, payload);
}

ExitCode run(const Options& options) {
    std::vector<std::string> names = names_below_root(options.files, options.places);
    for (std::string& name : names) name = stripped_name(name);
    const std::vector<std::string> targets = targets_for(options.files, names, options.places);
    Batch batch(options.files, options.jobs);
    batch.run("stripping", [&](std::size_t i) {
        const SgnFile file = decode_sgn_input(read_input(options.files[i]));
        if (options.overwrite == Answer::Ask && would_lose(targets[i], file.payload()))
            throw UsageError(fmt::format("{} is there with other content; --yes overwrites it", targets[i]));
        open_output(targets[i], file.payload().size(), {options.files[i]}).store(file.payload());
    });
    return batch.report("stripped", options.format);
}

}  // namespace

void add_config_strip(CLI::App& parent, Action& action) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = add_command(parent, "strip", "Take the signed header off: FILE without .sgn",
                                    "ctlsign config strip SEP001122334455.cnf.xml.sgn -d plain");
    command.add_option("FILE", options->files, "The .sgn files, as many as there are")->required();
    add_place_options(command, options->places);
    command.add_flag_callback(
        "--yes", [options] { options->overwrite = Answer::Yes; }, "Overwrite files with other content");
    add_jobs_option(command, options->jobs);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
