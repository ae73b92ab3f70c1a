#include <fmt/format.h>

#include <memory>
#include <optional>
#include <thread>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/virtual_learn.hpp>
#include <softhsm-profiles/fault.hpp>
#include <softhsm-profiles/profile.hpp>
#include <softhsm-profiles/virtual_folder.hpp>
#include <softhsm-profiles/virtual_plug.hpp>

namespace ctlsign::cli {

namespace {

struct PlugOptions {
    std::string name;
    std::optional<unsigned> reader;
    Format format = Format::AsText;
};

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
    if (!options.key.empty()) key.pem = std::string(as_text(read_key(options.key).content.octets()));
    if (!options.certificate.empty()) key.certificate = load_certificate(options.certificate);
    const auto token =
        softhsm::create_virtual_token(softhsm::virtual_tokens_folder(), options.name, profile, key);
    // A person waits until the light of a token is steady; a script goes on with the next command.
    std::this_thread::sleep_for(profile.behaviour.settle);
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

void report(const std::string& name, Format format) {
    for (const auto& token : softhsm::list_virtual_tokens(softhsm::virtual_tokens_folder())) {
        if (token.name != name) continue;
        if (format == Format::AsJson) {
            print_json(to_json(token));
        } else {
            print(line(token));
        }
    }
}

ExitCode plug(const PlugOptions& options) {
    softhsm::plug_virtual_token(softhsm::virtual_tokens_folder(), options.name, options.reader);
    report(options.name, options.format);
    return ExitCode::Done;
}

ExitCode unplug(const PlugOptions& options) {
    softhsm::unplug_virtual_token(softhsm::virtual_tokens_folder(), options.name);
    report(options.name, options.format);
    return ExitCode::Done;
}

ExitCode add_fault(const std::string& line) {
    softhsm::add_fault(softhsm::virtual_tokens_folder(), softhsm::decode_fault(line));
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

void add_create(Command parent, Action& action) {
    const auto options = std::make_shared<CreateOptions>();
    Command command = add_command(parent, "create", "Make a virtual token and plug it in",
                                  parent.command_line() + " create sast-1 --profile etoken-pro-64k");
    command.add_option("NAME", options->name, "Its name; its label too, unless the profile says another")
        .required();
    command
        .add_option("--profile", options->profile,
                    fmt::format("What kind of token: {}, or a TOML file",
                                fmt::join(softhsm::shipped_profiles(), ", ")))
        .type_name("PROFILE")
        .required();
    command.add_option("--key", options->key, "A private key for it (PEM); else the token makes one")
        .type_name("FILE");
    command
        .add_option("--certificate", options->certificate,
                    "The certificate of that key; else a self-signed one is made")
        .type_name("FILE");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return create(*options); }; });
}

void add_plugging(Command parent, Action& action) {
    const auto options = std::make_shared<PlugOptions>();
    Command in = add_command(parent, "plug", "Plug a virtual token in",
                             parent.command_line() + " plug sast-1 --reader 1");
    in.add_option("NAME", options->name, "Its name").required();
    in.add_option("--reader", options->reader, "Into which reader; default: the first that is empty")
        .type_name("N");
    add_json_flag(in, options->format);
    in.callback([&action, options] { action = [options] { return plug(*options); }; });
    Command out =
        add_command(parent, "unplug", "Pull a virtual token out", parent.command_line() + " unplug sast-1");
    out.add_option("NAME", options->name, "Its name").required();
    add_json_flag(out, options->format);
    out.callback([&action, options] { action = [options] { return unplug(*options); }; });
}

void add_faults(Command parent, Action& action) {
    const auto line = std::make_shared<std::string>();
    Command command =
        add_command(parent, "fault", "Add a line to the script of faults that programs will meet",
                    parent.command_line() + " fault 'on C_Sign #3 return CKR_DEVICE_ERROR'");
    command
        .add_option("FAULT", *line,
                    "on FUNCTION [#N] return CKR_...|delay 2s|crash|hang|corrupt|unplug NAME; "
                    "at 500ms unplug|plug NAME; after 10 signatures unplug|plug NAME")
        .required();
    command.callback([&action, line] { action = [line] { return add_fault(*line); }; });
}

using Report = ExitCode (*)(Format);

void add_report(Command command, Action& action, Report report) {
    const auto format = std::make_shared<Format>(Format::AsText);
    add_json_flag(command, *format);
    command.callback([&action, format, report] { action = [format, report] { return report(*format); }; });
}

}  // namespace

void add_virtual_commands(Command command, Action& action) {
    add_create(command, action);
    add_report(add_command(command, "list", "List the virtual tokens", command.command_line() + " list"),
               action, list);
    add_plugging(command, action);
    add_faults(command, action);
    add_virtual_learn(command, action);
    add_report(add_command(command, "env", "Print the variables that show the tokens to a PKCS#11 program",
                           fmt::format("eval \"$({} env)\"", command.command_line())),
               action, print_environment);
}

}  // namespace ctlsign::cli
