#include <fmt/format.h>

#include <memory>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <softhsm-profiles/profile.hpp>
#include <softhsm-profiles/virtual_folder.hpp>

namespace ctlsign::cli {

namespace {

struct CreateOptions {
    std::string name, profile, key, certificate;
    Format format = Format::AsText;
};

Json to_json(const softhsm::VirtualToken& token) {
    Json json{{"name", token.name},
              {"profile", token.profile},
              {"label", token.label},
              {"serial", token.serial},
              {"pin-file", token.pin_file.string()},
              {"certificate-file", token.certificate_file.string()}};
    if (token.reader) json["reader"] = *token.reader;
    return json;
}

std::string line(const softhsm::VirtualToken& token) {
    return fmt::format("{:<16} {:<16} label {}, serial {}, {}\n", token.name, token.profile, token.label,
                       token.serial, token.reader ? fmt::format("in reader {}", *token.reader) : "unplugged");
}

ExitCode create(const CreateOptions& options) {
    const softhsm::Profile profile = softhsm::load_profile(options.profile);
    softhsm::Key key;
    if (!options.key.empty()) key.pem = std::string(as_text(read_input(options.key).bytes));
    if (!options.certificate.empty()) key.certificate = load_certificate(options.certificate);
    const auto token =
        softhsm::create_virtual_token(softhsm::virtual_tokens_folder(), options.name, profile, key);
    if (options.format == Format::AsJson) {
        print_json(to_json(token));
    } else {
        print(fmt::format("{}certificate: {}\nPIN: {}\n", line(token), token.certificate_file.string(),
                          token.pin_file.string()));
    }
    return ExitCode::Done;
}

ExitCode list(Format format) {
    const auto tokens = softhsm::list_virtual_tokens(softhsm::virtual_tokens_folder());
    if (format == Format::AsJson) {
        Json json = Json::array();
        for (const auto& token : tokens) json.push_back(to_json(token));
        print_json(json);
        return ExitCode::Done;
    }
    std::string text;
    for (const auto& token : tokens) text += line(token);
    print(text.empty() ? "no virtual tokens\n" : text);
    return ExitCode::Done;
}

// Within single quotes of a shell.
std::string shell_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
        } else {
            out += c;
        }
    }
    return out + '\'';
}

ExitCode print_environment(Format format) {
    const auto variables = softhsm::virtual_environment(softhsm::virtual_tokens_folder());
    if (format == Format::AsJson) {
        Json json = Json::object();
        for (const auto& [name, value] : variables) json[name] = value;
        print_json(json);
        return ExitCode::Done;
    }
    std::string text;
    for (const auto& [name, value] : variables)
        text += fmt::format("export {}={}\n", name, shell_quoted(value));
    print(text);
    return ExitCode::Done;
}

void add_create(CLI::App& parent, Action& action) {
    const auto options = std::make_shared<CreateOptions>();
    CLI::App& command = add_command(parent, "create", "Make a virtual token and plug it in",
                                    "ctlsign virtual create sast-1 --profile etoken-pro-64k");
    command.add_option("NAME", options->name, "Its name; its label too, unless the profile says another")
        ->required();
    command
        .add_option("--profile", options->profile,
                    fmt::format("What kind of token: {}, or a TOML file",
                                fmt::join(softhsm::shipped_profiles(), ", ")))
        ->type_name("PROFILE")
        ->required();
    command.add_option("--key", options->key, "A private key for it (PEM); else the token makes one")
        ->type_name("FILE");
    command
        .add_option("--certificate", options->certificate,
                    "The certificate of that key; else a self-signed one is made")
        ->type_name("FILE");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return create(*options); }; });
}

using Report = ExitCode (*)(Format);

void add_report(CLI::App& command, Action& action, Report report) {
    const auto format = std::make_shared<Format>(Format::AsText);
    add_json_flag(command, *format);
    command.callback([&action, format, report] { action = [format, report] { return report(*format); }; });
}

}  // namespace

void add_virtual(CLI::App& program, Action& action) {
    CLI::App& command =
        add_command(program, "virtual", "Virtual tokens for tests, in the folder CTLSIGN_VIRTUAL_TOKENS",
                    "CTLSIGN_VIRTUAL_TOKENS=$PWD/tokens ctlsign virtual list");
    command.require_subcommand(1);
    add_create(command, action);
    add_report(add_command(command, "list", "List the virtual tokens", "ctlsign virtual list"), action, list);
    add_report(add_command(command, "env", "Print the variables that show the tokens to a PKCS#11 program",
                           "eval \"$(ctlsign virtual env)\""),
               action, print_environment);
}

}  // namespace ctlsign::cli
