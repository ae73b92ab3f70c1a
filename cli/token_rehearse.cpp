#include <fmt/format.h>

#include <memory>

#include <cli/input.hpp>
#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>
#include <sast/token_signer.hpp>

namespace ctlsign::cli {

namespace {

struct TokenRehearseOptions {
    TokenOptions token;
    std::string name, certificate, digest = "sha1";
    Format format = Format::AsText;
};

ExitCode run(const TokenRehearseOptions& options) {
    const Digest digest = get_digest(options.digest);
    std::optional<sast::Certificate> stand_in;
    if (!options.certificate.empty()) stand_in = load_certificate(options.certificate);
    const auto name = sast::TokenName::parse(options.name);
    const auto token = find_token(options.token, options.name);
    const auto pins = make_pins(options.token, name.uri());
    sast::TokenSigner signer(sast::choose_identity(token, name.uri(), stand_in), *pins,
                             make_policy(options.token));

    const Bytes message = make_test_message();
    const Bytes signature = signer.sign(digest, message);  // verified by the signer, or it throws
    const auto plan = signer.plan(digest);
    if (options.format == Format::AsJson) {
        print_json({{"token", to_json(token)},
                    {"identity", to_json(signer.identity())},
                    {"digest", to_text(digest)},
                    {"plan", plan.explanation},
                    {"signature-length", signature.size()},
                    {"verified", true}});
        return ExitCode::Done;
    }
    print(fmt::format("{}\n  {}\n  {} signed and verified: {} octets; nothing was written\n  {}\n",
                      token.text(), describe(signer.identity()), to_text(digest), signature.size(),
                      fmt::join(plan.explanation, "\n  ")));
    return ExitCode::Done;
}

}  // namespace

void add_token_rehearse(Command parent, Action& action) {
    const auto options = std::make_shared<TokenRehearseOptions>();
    Command command =
        add_command(parent, "rehearse", "Log in once, sign a test message, verify it, write nothing",
                    "ctlsign token rehearse SAST-ADN008580ef");
    command.add_option("TOKEN", options->name, "PKCS#11 URI, label or serial number").required();
    command.add_option("--digest", options->digest, "sha1 (default), sha256 or sha512").type_name("DIGEST");
    command.add_option("--certificate", options->certificate, "Certificate, where the token holds none")
        .type_name("FILE");
    add_token_options(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
