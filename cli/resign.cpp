#include <fmt/format.h>

#include <memory>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/output.hpp>
#include <cli/signer.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/sign.hpp>

namespace ctlsign::cli {

namespace {

struct ResignOptions {
    std::string file, output, timestamp;
    SignerOptions signer;
    bool dry_run = false;
    Format format = Format::AsText;
};

ExitCode run(const ResignOptions& options) {
    const TrustList list = load_list(options.file);
    const OpenedSigner opened = open_signer(options.signer);
    const sast::Signer::Facts& facts = opened.signer->facts();
    const ListDraft draft =
        make_resign_draft(list, facts.certificate, choose_timestamp(options.timestamp, std::nullopt));
    const std::size_t length = signed_size(prepare(draft).octets.size(), facts.signature_length);
    OutputFile output = open_output(options.output, length, {options.file, options.signer.signer});
    if (options.dry_run) {
        report_planned(options.output, draft, facts, length, options.format);
        return ExitCode::Done;
    }
    const Bytes finished = sign_list(draft, *opened.signer);
    output.store(finished);
    report_signed(options.output, finished, options.format);
    return ExitCode::Done;
}

}  // namespace

void add_resign(Command program, Action& action) {
    const auto options = std::make_shared<ResignOptions>();
    Command command = add_command(
        program, "resign", "Sign a list anew, its records as they stand, by another of its signers",
        "ctlsign resign CTLFile.tlv --signer 'pkcs11:token=SAST-ADN0054f509' -o new/CTLFile.tlv");
    command.add_option("FILE", options->file, "CTL or ITL file; - is standard input").required();
    add_signer_options(command, options->signer);
    command.add_option("-o,--output", options->output, "The file to write").type_name("FILE").required();
    add_timestamp_option(command, options->timestamp);
    command.add_flag("--dry-run", options->dry_run, "Do everything up to the PIN, and write nothing");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
