#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <set>

#include <cli/batch.hpp>
#include <cli/config.hpp>
#include <cli/input.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>

namespace ctlsign::cli {

namespace {

struct ConfigStripOptions {
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

class Stripper {
  public:
    explicit Stripper(const ConfigStripOptions& options)
        : options_(options), targets_(targets_for(options.files, names(options), options.places)) {}

    /// Everything about a file that can fail before anything is written.
    void check(std::size_t file) {
        const SgnFile sgn = decode_sgn_input(read_input(options_.files[file]));
        static_cast<void>(open(file, sgn));
        // A payload that somebody has changed since is not overwritten without being asked.
        const std::string& target = targets_[file];
        if (!std::filesystem::exists(target) || equal(read_input(target).bytes, sgn.payload())) return;
        const std::lock_guard lock(mutex_);
        changed_.insert(target);
    }

    void ask() const {
        if (changed_.empty()) return;
        confirm(fmt::format("overwrite {} with other content than what was signed? (y/n):",
                            fmt::join(changed_, ", ")),
                options_.overwrite);
    }

    void strip(std::size_t file) const {
        const SgnFile sgn = decode_sgn_input(read_input(options_.files[file]));
        open(file, sgn).store(sgn.payload());
    }

  private:
    static std::vector<std::string> names(const ConfigStripOptions& options) {
        std::vector<std::string> names = names_below_root(options.files, options.places);
        for (std::string& name : names) name = stripped_name(name);
        return names;
    }
    OutputFile open(std::size_t file, const SgnFile& sgn) const {
        return open_output(targets_[file], sgn.payload().size(), {options_.files[file]});
    }

    const ConfigStripOptions& options_;
    std::vector<std::string> targets_;
    std::set<std::string> changed_;
    std::mutex mutex_;
};

ExitCode run(const ConfigStripOptions& options) {
    Stripper stripper(options);
    Batch batch(options.files, options.jobs);
    batch.run("checking", [&](std::size_t file) { stripper.check(file); });
    stripper.ask();
    batch.run("stripping", [&](std::size_t file) { stripper.strip(file); });
    return batch.report("stripped", options.format);
}

}  // namespace

void add_config_strip(Command parent, Action& action) {
    const auto options = std::make_shared<ConfigStripOptions>();
    Command command = add_command(parent, "strip", "Take the signed header off: FILE without .sgn",
                                  "ctlsign config strip SEP001122334455.cnf.xml.sgn -d plain");
    command.add_option("FILE", options->files, "The .sgn files, as many as there are").required();
    add_place_options(command, options->places);
    command.add_flag_callback(
        "--yes", [options] { options->overwrite = Answer::Yes; }, "Overwrite files with other content");
    add_jobs_option(command, options->jobs);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
