#include <fmt/format.h>

#include <memory>

#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>
#include <pkcs11/token_lock.hpp>
#include <sast/pin_ledger.hpp>

namespace ctlsign::cli {

namespace {

struct TokenForgetOptions {
    TokenOptions token;
    std::string name;
    Format format = Format::AsText;
};

ExitCode run(const TokenForgetOptions& options) {
    const auto token = find_token(options.token, options.name);
    pkcs11::TokenLock lock(token);
    const auto hold = lock.hold(pkcs11::TokenLock::kPatience);
    sast::PinLedger().forget(token.info());
    if (options.format == Format::AsJson) {
        print_json({{"token", to_json(token)}});
    } else {
        print(fmt::format("{}: no PIN is remembered as rejected\n", token.text()));
    }
    return ExitCode::Done;
}

}  // namespace

void add_token_forget(Command parent, Action& action) {
    const auto options = std::make_shared<TokenForgetOptions>();
    Command command =
        add_command(parent, "forget-pin-failures",
                    "Forget which PINs a token has rejected, so that one that was set since can be sent",
                    "ctlsign token forget-pin-failures SAST-ADN008580ef");
    command.add_option("TOKEN", options->name, "PKCS#11 URI, label or serial number").required();
    add_module_option(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
