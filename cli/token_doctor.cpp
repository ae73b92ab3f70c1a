#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>

namespace ctlsign::cli {

namespace {

// Where vendors and distributions put their modules (token behaviour, "Known module paths").
constexpr std::array kKnownModules = {
    "libeTPkcs11.so",
    "libeToken.so",
    "/usr/lib/libeTPkcs11.so",
    "/usr/lib64/libeTPkcs11.so",
    "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
    "/usr/lib/softhsm/libsofthsm2.so",
};

struct TokenDoctorOptions {
    TokenOptions token;
    Format format = Format::AsText;
};

struct Report {
    Json json{{"modules", Json::array()}};
    std::string text;
};

void examine_token(const pkcs11::Token& token, Json& json, std::string& text) {
    const auto& info = token.info();
    json = to_json(token);
    text += fmt::format(
        "  {} in slot {}\n    {} {}, hardware {}, firmware {}\n    PIN: {}, {} to {} octets{}{}\n",
        token.text(), static_cast<unsigned long>(token.slot()), info.manufacturer, info.model,
        info.hardware_version, info.firmware_version, to_text(pin_status(token)), info.min_pin, info.max_pin,
        info.protected_authentication_path ? ", entered at the reader" : "",
        info.login_required ? "" : ", no login needed");
    std::vector<pkcs11::MechanismInfo> offers;
    for (const auto mechanism : token.mechanisms()) {
        if (const auto offer = token.find_mechanism(mechanism)) offers.push_back(*offer);
    }
    json["mechanisms"] = offers.size();
    const auto quirks = token.quirks();
    json["quirks"] = to_json(quirks);
    text += describe_quirks(quirks.effects(), quirks.reasons, "    ");
    json["identities"] = Json::array();
    for (const auto& identity : sast::list_identities(token)) {
        Json entry = to_json(identity);
        text += fmt::format("    {}\n", describe(identity));
        for (const Digest digest : {Digest::Sha1, Digest::Sha256, Digest::Sha512}) {
            const auto plan =
                pkcs11::plan_signature(digest, identity.certificate.key_bits(), offers, std::nullopt, quirks);
            entry["plan"][std::string(to_text(digest))] = plan.explanation;
            text += fmt::format("      {}: {}\n", to_text(digest),
                                fmt::join(plan.explanation, "\n               "));
        }
        json["identities"].push_back(std::move(entry));
    }
}

void examine_module(const std::shared_ptr<pkcs11::Module>& module, Report& report) {
    const auto info = module->info();
    Json json{{"path", module->path()},
              {"manufacturer", info.manufacturer},
              {"description", info.description},
              {"library", fmt::format("{}.{}", info.library_major, info.library_minor)},
              {"cryptoki", fmt::format("{}.{}", info.cryptoki_major, info.cryptoki_minor)},
              {"tokens", Json::array()}};
    report.text += fmt::format("{}\n  {} {} {}.{}, Cryptoki {}.{}\n", module->path(), info.manufacturer,
                               info.description, info.library_major, info.library_minor, info.cryptoki_major,
                               info.cryptoki_minor);
    const auto quirks = module->quirks();
    json["quirks"] = to_json(quirks);
    report.text += describe_quirks(quirks.effects(), quirks.reasons, "  ");
    for (const auto& slot : module->slots(pkcs11::Module::Slots::All)) {
        const auto number = static_cast<unsigned long>(slot.id);
        try {
            auto token = slot.token_present ? module->find_token_info(slot.id) : std::nullopt;
            if (!token) {
                report.text += fmt::format("  slot {}: {}, empty\n", number, slot.description);
            } else if (!token->initialized) {
                report.text +=
                    fmt::format("  slot {}: {}, a token that is not initialised\n", number, slot.description);
            } else {
                Json entry;
                examine_token({module, slot.id, std::move(*token)}, entry, report.text);
                json["tokens"].push_back(std::move(entry));
            }
        } catch (const Error& e) {
            report.text += fmt::format("  slot {}: {}\n", number, e.what());
            json["problems"].push_back(e.what());
        }
    }
    report.json["modules"].push_back(std::move(json));
}

ExitCode run(const TokenDoctorOptions& options) {
    Report report;
    std::vector<pkcs11::Module::Failure> failures;
    const auto named = find_module(options.token);
    auto modules = sast::open_modules(named, std::nullopt, options.token.isolation, failures);
    if (!named) {
        for (const std::string path : kKnownModules) {
            try {
                auto module = options.token.isolation
                                  ? pkcs11::Module::open_isolated(path, *options.token.isolation)
                                  : pkcs11::Module::open(path);
                if (std::ranges::find(modules, module) == modules.end()) modules.push_back(std::move(module));
            } catch (const Error& e) {
                // Most systems have few of them; only one that is there and does not work is worth a word.
                if (std::filesystem::exists(path)) failures.push_back({path, e.what()});
            }
        }
    }
    for (const auto& module : modules) examine_module(module, report);
    for (const auto& failure : failures) {
        report.text += fmt::format("{}\n  does not work: {}\n", failure.path, failure.reason);
        report.json["failures"].push_back({{"path", failure.path}, {"reason", failure.reason}});
    }
    if (options.format == Format::AsJson) {
        print_json(report.json);
    } else {
        print(report.text.empty() ? "no PKCS#11 module was found; name one with --module\n" : report.text);
    }
    return modules.empty() ? ExitCode::No : ExitCode::Done;
}

}  // namespace

void add_token_doctor(Command parent, Action& action) {
    const auto options = std::make_shared<TokenDoctorOptions>();
    Command command = add_command(parent, "doctor",
                                  "What is installed, what each token can do and how it would sign; no login",
                                  "ctlsign token doctor");
    add_module_option(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
