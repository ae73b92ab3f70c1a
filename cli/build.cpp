#include <fmt/format.h>

#include <memory>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/output.hpp>
#include <cli/signer.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/encode.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct BuildOptions {
    std::string manifest, output, timestamp;
    SignerOptions signer;
    bool dry_run = false;
    Format format = Format::AsText;
};

ExitCode run(const BuildOptions& options) {
    const LoadedManifest manifest = load_manifest(options.manifest);
    const OpenedSigner opened = open_signer(options.signer);
    const sast::Signer::Facts& facts = opened.signer->facts();
    const ListDraft draft = make_draft(manifest.manifest, manifest.load, facts.certificate,
                                       choose_timestamp(options.timestamp, manifest.manifest.timestamp));
    const std::size_t length = signed_size(prepare(draft).octets.size(), facts.signature_length);
    OutputFile output = open_output(options.output, length, {options.manifest, options.signer.signer});
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

void add_build(Command program, Action& action) {
    const auto options = std::make_shared<BuildOptions>();
    Command command =
        add_command(program, "build", "Make a trust list from a manifest and sign it",
                    "ctlsign build ctl.toml --signer 'pkcs11:token=SAST-ADN008580ef' -o CTLFile.tlv");
    command.add_option("MANIFEST", options->manifest, "The recipe, TOML; paths in it are relative to it")
        .required();
    add_signer_options(command, options->signer);
    command.add_option("-o,--output", options->output, "The file to write").type_name("FILE").required();
    add_timestamp_option(command, options->timestamp);
    command.add_flag("--dry-run", options->dry_run, "Do everything up to the PIN, and write nothing");
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
