#include <fmt/format.h>

#include <memory>
#include <system_error>

#include <cli/json.hpp>
#include <cli/phone.hpp>
#include <cli/terminal.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::cli {

namespace {

struct PhoneImportOptions {
    std::string file, phones = "phones.csv";
    Format format = Format::AsText;
};

phone::Inventory load_existing(const std::string& path) {
    try {
        return load_inventory(path);
    } catch (const Error& error) {
        if (error.code() != std::errc::no_such_file_or_directory) throw;
        return {};
    }
}

ExitCode run(const PhoneImportOptions& options) {
    const phone::Inventory fresh = load_inventory(options.file);
    phone::Inventory all = load_existing(options.phones);
    const std::size_t before = all.phones().size();
    all.merge(fresh);
    store_file(options.phones, as_bytes(all.encode()), Readers::OwnerAtFirst);
    const std::size_t added = all.phones().size() - before;
    if (options.format == Format::AsJson) {
        print_json({{"file", options.phones},
                    {"phones", all.phones().size()},
                    {"added", added},
                    {"updated", fresh.phones().size() - added}});
    } else {
        print(fmt::format("{}: {} phones, {} of them new, {} updated\n", options.phones, all.phones().size(),
                          added, fresh.phones().size() - added));
    }
    return ExitCode::Done;
}

}  // namespace

void add_phone_import(Command parent, Action& action) {
    const auto options = std::make_shared<PhoneImportOptions>();
    Command command = add_command(
        parent, "import",
        "Take phones into the inventory: CSV or JSON lines with device, model, firmware, ctl, itl, pool, tvs",
        "ctlsign phone import export-of-the-cluster.csv");
    command.add_option("FILE", options->file, "CSV with a line of headings, or a JSON object a line")
        .required();
    add_inventory_option(command, options->phones);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
