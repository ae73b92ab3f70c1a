#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include <cli/command.hpp>
#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <ctlsign/trustlist/extract.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::cli {

namespace {

namespace fs = std::filesystem;

struct ExtractOptions {
    std::string file, folder;
    Format format = Format::AsText;
};

void make_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw Error(error, "mkdir", folder.string(), "choose a folder that can be written");
}

ExitCode run(const ExtractOptions& options) {
    const TrustList list = load_list(options.file);
    const Extracted extracted = extract(list);
    const fs::path folder = options.folder;
    make_folder(folder);
    if (!extracted.certificates.empty()) make_folder(folder / "certificates");
    for (const auto& file : extracted.certificates)
        store_file((folder / file.path).string(), as_bytes(file.certificate.to_pem()));
    store_file((folder / "signature.raw").string(), list.signature());
    // Last, so that a manifest has everything that it names beside it.
    const std::string manifest = (folder / "manifest.toml").string();
    store_file(manifest, as_bytes(encode_manifest(extracted.manifest)));

    if (options.format == Format::AsJson) {
        Json json{{"manifest", manifest}, {"signature", (folder / "signature.raw").string()}};
        if (!extracted.signer.empty()) json["signer"] = (folder / extracted.signer).string();
        Json& certificates = json["certificates"] = Json::array();
        for (const auto& file : extracted.certificates) certificates.push_back((folder / file.path).string());
        print_json(json);
    } else {
        print(fmt::format("{}: {} records, {} certificates; signature in {}\n", manifest,
                          list.records().size(), extracted.certificates.size(),
                          (folder / "signature.raw").string()));
        if (extracted.signer.empty()) {
            print_note("the signer's certificate is not in the file: prepare needs it from elsewhere");
        }
    }
    return ExitCode::Done;
}

}  // namespace

void add_extract(Command program, Action& action) {
    const auto options = std::make_shared<ExtractOptions>();
    Command command = add_command(
        program, "extract", "Write a list's certificates, and a manifest that builds the same file again",
        "ctlsign extract CTLFile.tlv -d ctl");
    command.add_option("FILE", options->file, "CTL or ITL file; - is standard input").required();
    command
        .add_option("-d,--folder", options->folder,
                    "Where to write: manifest.toml, certificates/, signature.raw")
        .type_name("FOLDER")
        .required();
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
