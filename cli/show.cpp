#include <array>
#include <ctime>
#include <memory>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct ShowOptions {
    std::string file;
    Format format = Format::AsText;
};

// As `date` prints it in the C locale: "Fri Mar 06 19:45:13 CET 2015".
std::string local_time(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    std::array<char, 64> text{};
    if (::localtime_r(&time, &parts) == nullptr) return format_utc(seconds);
    return {text.data(), std::strftime(text.data(), text.size(), "%a %b %d %H:%M:%S %Z %Y", &parts)};
}

template <typename File>
ExitCode show_file(const File& file, const ShowOptions& options, std::optional<std::int64_t> modified) {
    const Verdict verdict = verify(file, {}, now());
    if (options.format == Format::AsJson) {
        Json json{{"file", options.file}};
        if (modified) json["modified"] = format_utc(*modified);
        json.update(to_json(file));
        json["verdict"] = to_json(verdict);
        print_json(json);
    } else {
        const auto text = modified ? std::optional(local_time(*modified)) : std::nullopt;
        print(show(file, verdict, text));
        for (const Warning& warning : verdict.warnings) print_warning(to_text(warning));
    }
    return verdict.outcome == Outcome::Refused ? ExitCode::No : ExitCode::Done;
}

ExitCode run(const ShowOptions& options) {
    try {
        Input input = read_input(options.file);
        const auto modified = input.modified;
        return std::visit([&](const auto& file) { return show_file(file, options, modified); },
                          decode_any_input(std::move(input)));
    } catch (const Error& error) {
        if (error.code() == std::errc::no_such_file_or_directory && options.format == Format::AsText)
            print(show_absent());
        throw;
    }
}

}  // namespace

void add_show(Command program, Action& action) {
    const auto options = std::make_shared<ShowOptions>();
    Command command =
        add_command(program, "show", "Print a CTL, ITL or .sgn file in the layout of 'show ctl'",
                    "ctlsign show CTLFile.tlv");
    command.add_option("FILE", options->file, "The file; - is standard input").required();
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
