#include <memory>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/diff.hpp>

namespace ctlsign::cli {

namespace {

struct DiffOptions {
    std::string before, after;
    Format format = Format::AsText;
};

ExitCode run(const DiffOptions& options) {
    if (options.before == "-" && options.after == "-") throw UsageError("only one of the files can be -");
    const ListDifference difference = diff(load_list(options.before), load_list(options.after));
    if (options.format == Format::AsJson) {
        print_json(to_json(difference));
    } else {
        print(difference.empty() ? "The files are the same.\n" : to_text(difference));
    }
    return difference.empty() ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_diff(Command program, Action& action) {
    const auto options = std::make_shared<DiffOptions>();
    Command command = add_command(program, "diff", "List what a new trust list adds, removes and changes",
                                  "ctlsign diff old/CTLFile.tlv CTLFile.tlv");
    command.add_option("OLD", options->before, "The list before; - is standard input").required();
    command.add_option("NEW", options->after, "The list after; - is standard input").required();
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
