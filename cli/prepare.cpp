#include <fmt/format.h>

#include <memory>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/diff.hpp>
#include <ctlsign/trustlist/sign.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign::cli {

namespace {

struct PrepareOptions {
    std::string manifest, certificate, output, timestamp, installed;
    Format format = Format::AsText;
};

ExitCode run(const PrepareOptions& options) {
    const LoadedManifest manifest = load_manifest(options.manifest);
    const sast::Certificate signer = load_certificate(options.certificate);
    const ListDraft draft = make_draft(manifest.manifest, manifest.load, signer,
                                       choose_timestamp(options.timestamp, manifest.manifest.timestamp));
    const Prepared prepared = prepare(draft);
    std::optional<ListDifference> difference;
    if (!options.installed.empty())
        difference = diff(load_list(options.installed), decode_unsigned_list(prepared.octets));
    OutputFile output = open_output(options.output, prepared.octets.size(),
                                    {options.manifest, options.certificate, options.installed});
    output.store(prepared.octets);

    const std::string digest = to_hex(prepared.digest);
    const std::size_t signature_length = signer.key_bits() / 8;
    if (options.format == Format::AsJson) {
        Json json{{"file", options.output},
                  {"length", prepared.octets.size()},
                  {"digest-algorithm", to_text(draft.header.digest)},
                  {"digest", digest},
                  {"signature-length", signature_length},
                  {"timestamp", format_utc(draft.header.timestamp)}};
        if (difference) json["difference"] = to_json(*difference);
        print_json(json);
    } else {
        if (difference)
            print(fmt::format("Difference to {}:\n{}", options.installed,
                              difference->empty() ? "none\n" : to_text(*difference)));
        print(fmt::format(
            "{}: {} octets to sign with RSASSA-PKCS1-v1_5 and {}; the signature has {} octets\n"
            "digest to be approved: {}\n",
            options.output, prepared.octets.size(), to_text(draft.header.digest), signature_length, digest));
    }
    return ExitCode::Done;
}

}  // namespace

void add_prepare(Command program, Action& action) {
    const auto options = std::make_shared<PrepareOptions>();
    Command command = add_command(
        program, "prepare", "Write the exact bytes that a signature made elsewhere must cover",
        "ctlsign prepare ctl.toml --certificate token.pem --installed CTLFile.tlv -o CTLFile.tbs");
    command.add_option("MANIFEST", options->manifest, "The recipe, TOML").required();
    command.add_option("--certificate", options->certificate, "The signer's certificate")
        .type_name("PEM")
        .required();
    command.add_option("-o,--output", options->output, "The file to write").type_name("FILE.tbs").required();
    command.add_option("--installed", options->installed, "Show the difference to this list")
        .type_name("FILE");
    add_timestamp_option(command, options->timestamp);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
