#include <fmt/format.h>

#include <memory>
#include <stdexcept>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/sign.hpp>

namespace ctlsign::cli {

namespace {

struct AttachOptions {
    std::string prepared, signature, output, certificate, digest;
    Format format = Format::AsText;
};

ExitCode run(const AttachOptions& options) {
    AttachChecks checks;
    if (!options.certificate.empty()) checks.certificate = load_certificate(options.certificate);
    if (!options.digest.empty()) {
        try {
            checks.digest = from_hex(options.digest);
        } catch (const std::invalid_argument&) {
            throw UsageError("--expect-digest: give the digest in hexadecimal, as prepare printed it");
        }
    }
    const Input prepared = read_input(options.prepared);
    const Input signature = read_input(options.signature);
    OutputFile output =
        open_output(options.output, signed_size(prepared.bytes.size(), signature.bytes.size()),
                    {options.prepared, options.signature, options.certificate});
    const Bytes finished = attach(prepared.bytes, signature.bytes, checks);
    output.store(finished);
    report_signed(options.output, finished, options.format);
    return ExitCode::Done;
}

}  // namespace

void add_attach(Command program, Action& action) {
    const auto options = std::make_shared<AttachOptions>();
    Command command = add_command(
        program, "attach", "Check a signature made elsewhere, and write the finished file",
        "ctlsign attach CTLFile.tbs --signature CTLFile.sig --expect-digest 2a1d05... -o CTLFile.tlv");
    command.add_option("PREPARED", options->prepared, "The file that prepare wrote").required();
    command.add_option("--signature", options->signature, "The signature, raw octets")
        .type_name("RAW")
        .required();
    command.add_option("-o,--output", options->output, "The file to write").type_name("FILE").required();
    command
        .add_option("--certificate", options->certificate,
                    "Check with this certificate (else with the signer's record in the file)")
        .type_name("PEM");
    command
        .add_option("--expect-digest", options->digest, "The digest that was approved; any other is refused")
        .type_name("HEX");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
