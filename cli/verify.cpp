#include <fmt/format.h>

#include <memory>

#include <cli/anchors.hpp>
#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct VerifyOptions {
    std::string file;
    AnchorOptions anchors;
    Format format = Format::AsText;
};

ExitCode run(const VerifyOptions& options) {
    const Anchors anchors = load_anchors(options.anchors);
    const Verdict verdict = std::visit([&](const auto& file) { return verify(file, anchors.view(), now()); },
                                       decode_any_input(read_input(options.file)));
    if (options.format == Format::AsJson) {
        Json json{{"file", options.file}};
        json.update(to_json(verdict));
        if (verdict.list) json["list-file"] = options.anchors.installed.at(*verdict.list);
        print_json(json);
    } else {
        const bool good = verdict.outcome == Outcome::Verified;
        std::string text =
            fmt::format("{}: {}\n", options.file, coloured(to_text(verdict), good ? Tone::Good : Tone::Bad));
        fmt::format_to(std::back_inserter(text), "signer: {}, issuer {}, serial {}\n",
                       printable(verdict.signer.name), printable(verdict.signer.issuer),
                       to_hex(verdict.signer.serial, ":"));
        text += trust_line(verdict, options.anchors);
        print(text);
        for (const Warning& warning : verdict.warnings) print_warning(to_text(warning));
    }
    return verdict.outcome == Outcome::Verified ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_verify(Command program, Action& action) {
    const auto options = std::make_shared<VerifyOptions>();
    Command command =
        add_command(program, "verify", "Check by whom a file is signed, and whether that signer is trusted",
                    "ctlsign verify new/CTLFile.tlv --installed CTLFile.tlv");
    command.add_option("FILE", options->file, "CTL, ITL or .sgn file; - is standard input").required();
    add_anchor_options(command, options->anchors);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
