#include <fmt/format.h>

#include <memory>

#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>
#include <pkcs11/bytes.hpp>

namespace ctlsign::cli {

namespace {

struct TokenListOptions {
    TokenOptions token;
    Format format = Format::AsText;
};

// A token that cannot be looked into is told of, and does not hide the others.
std::vector<sast::Identity> identities_of(const pkcs11::Token& token) {
    try {
        return sast::list_identities(token);
    } catch (const Error& e) {
        print_warning(e.what());
        return {};
    }
}

ExitCode run(const TokenListOptions& options) {
    const Plugged plugged = find_tokens(options.token, std::nullopt);
    Json json{{"tokens", Json::array()}, {"readers", Json::array()}};
    std::string text;
    for (const auto& module : plugged.modules) {
        for (const auto& slot : module->slots(pkcs11::Module::Slots::All)) {
            if (slot.token_present) continue;
            json["readers"].push_back({{"slot", static_cast<unsigned long>(slot.id)},
                                       {"description", slot.description},
                                       {"module", module->path()}});
            text += fmt::format("empty reader: {} (slot {})\n", printable(slot.description),
                                static_cast<unsigned long>(slot.id));
        }
    }
    for (const auto& token : plugged.tokens) {
        const auto& info = token.info();
        Json entry = to_json(token);
        entry["identities"] = Json::array();
        text += fmt::format("{}\n  serial {}, {} {}, slot {} of {}\n  PIN: {}{}\n", printable(info.label),
                            printable(info.serial), printable(info.manufacturer), printable(info.model),
                            static_cast<unsigned long>(token.slot()), token.module()->path(),
                            to_text(pin_status(token)),
                            info.protected_authentication_path ? ", entered at the reader" : "");
        for (const auto& identity : identities_of(token)) {
            entry["identities"].push_back(to_json(identity));
            text += fmt::format("  {}\n", printable(describe(identity)));
        }
        text += fmt::format("  {}\n", pkcs11::Uri::of(token).to_text());
        json["tokens"].push_back(std::move(entry));
    }
    if (options.format == Format::AsJson) {
        print_json(json);
    } else {
        print(plugged.tokens.empty() ? text + "no token is plugged in\n" : text);
    }
    return ExitCode::Done;
}

}  // namespace

void add_token_list(Command parent, Action& action) {
    const auto options = std::make_shared<TokenListOptions>();
    Command command =
        add_command(parent, "list", "Readers, tokens, who can sign with them, state of the PIN; no login",
                    "ctlsign token list --module /usr/lib/libeTPkcs11.so");
    add_module_option(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
