#include <fmt/format.h>

#include <memory>

#include <cli/output.hpp>
#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>
#include <ctlsign/trustlist/names.hpp>

namespace ctlsign::cli {

namespace {

struct TokenExportOptions {
    TokenOptions token;
    std::string name, output;
    Format format = Format::AsText;
};

ExitCode run(const TokenExportOptions& options) {
    const auto name = sast::TokenName::parse(options.name);
    const auto identity =
        sast::choose_identity(find_token(options.token, options.name), name.uri(), std::nullopt);
    const auto& certificate = identity.certificate;
    const std::string pem = certificate.to_pem();
    open_output(options.output, pem.size(), {}).store(as_bytes(pem));
    if (options.format == Format::AsJson) {
        Json json = to_json(identity);
        json["file"] = options.output;
        print_json(json);
        return ExitCode::Done;
    }
    print(fmt::format(
        "{}: {}\n  serial number, as in the certificate: {}\n  serial number, as in a CTL (reversed): {}\n"
        "  issuer, as in a CTL: {}\n",
        options.output, certificate.subject_text(), to_hex(certificate.serial(), ":"),
        to_hex(serial_octets(certificate.serial(), NameStyle::CtlClient), ":"),
        name_text(certificate.issuer_der(), NameStyle::CtlClient)));
    return ExitCode::Done;
}

}  // namespace

void add_token_export(Command parent, Action& action) {
    const auto options = std::make_shared<TokenExportOptions>();
    Command command = add_command(
        parent, "export-certificate", "Write a token's certificate, to put it into Phone-SAST-trust",
        "ctlsign token export-certificate SAST-ADN008580ef -o SAST-ADN008580ef.pem");
    command.add_option("TOKEN", options->name, "PKCS#11 URI, label or serial number").required();
    command.add_option("-o,--output", options->output, "PEM file to write").type_name("FILE").required();
    add_module_option(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
