#include <fmt/format.h>

#include <memory>

#include <cli/command.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/token_access.hpp>
#include <cli/virtual_learn.hpp>
#include <pkcs11/store.hpp>
#include <sast/identity.hpp>
#include <softhsm-profiles/learn.hpp>

namespace ctlsign::cli {

namespace {

struct VirtualLearnOptions {
    TokenOptions token;
    std::string name, output;
    Format format = Format::AsText;
};

softhsm::Learned learn(const VirtualLearnOptions& options, const pkcs11::Token& token) {
    // Nobody is asked for a PIN: who gives none learns what can be seen without.
    if (!options.token.pin_source) return softhsm::learn_profile(token, nullptr);
    const auto pins = make_pins(options.token, std::nullopt);
    sast::TokenLogin login(token, *pins, make_policy(options.token));
    return softhsm::learn_profile(token, &login);
}

ExitCode run(const VirtualLearnOptions& options) {
    const auto learned = learn(options, find_token(options.token, options.name));
    store_file(options.output, as_bytes(learned.profile.text));
    if (options.format == Format::AsJson) {
        print_json({{"file", options.output}, {"not-learned", learned.unknown}});
    } else {
        print(fmt::format("{}: {}\n  not learned, see to it by hand: {}\n", options.output,
                          learned.profile.description, fmt::join(learned.unknown, ", ")));
    }
    return ExitCode::Done;
}

}  // namespace

void add_virtual_learn(Command parent, Action& action) {
    const auto options = std::make_shared<VirtualLearnOptions>();
    Command command = add_command(
        parent, "learn", "Write a profile from a real token: how its kind behaves, nothing of who it is",
        parent.command_line() + " learn SAST-ADN008580ef -o etoken.toml --pin-source prompt");
    command.add_option("TOKEN", options->name, "PKCS#11 URI, label or serial number").required();
    command.add_option("-o,--output", options->output, "Profile to write").type_name("PROFILE").required();
    add_token_options(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
