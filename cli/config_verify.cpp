#include <fmt/format.h>

#include <memory>

#include <cli/anchors.hpp>
#include <cli/batch.hpp>
#include <cli/config.hpp>
#include <cli/input.hpp>

namespace ctlsign::cli {

namespace {

struct ConfigVerifyOptions {
    std::vector<std::string> files;
    AnchorOptions anchors;
    unsigned jobs = 1;
    Format format = Format::AsText;
};

ExitCode run(const ConfigVerifyOptions& options) {
    const Anchors anchors = load_anchors(options.anchors);
    const auto time = now();
    Batch batch(options.files, options.jobs);
    batch.run("verifying", [&](std::size_t i) {
        const std::string& file = options.files[i];
        const Verdict verdict = verify(decode_sgn_input(read_input(file)), anchors.view(), time);
        if (verdict.outcome != Outcome::Verified)
            throw NotValid(fmt::format("{}: {}", file, to_text(verdict)));
    });
    return batch.report("verified", options.format);
}

}  // namespace

void add_config_verify(Command parent, Action& action) {
    const auto options = std::make_shared<ConfigVerifyOptions>();
    Command command = add_command(parent, "verify", "Check signed configuration files",
                                  "ctlsign config verify *.sgn --installed CTLFile.tlv");
    command.add_option("FILE", options->files, "The .sgn files, as many as there are").required();
    add_anchor_options(command, options->anchors);
    add_jobs_option(command, options->jobs);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
