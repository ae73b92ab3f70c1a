#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <cli/input.hpp>
#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>
#include <ctlsign/cluster/rules.hpp>

namespace ctlsign::cli {

namespace {

struct TokenReadyOptions {
    TokenOptions token;
    std::string ctl;
    Format format = Format::AsText;
};

// One token that ought to be able to sign.
struct Row {
    sast::Certificate certificate;
    const sast::Identity* plugged = nullptr;
    pkcs11::PinStatus pin;
    std::vector<std::string> problems;
};

std::vector<sast::Identity> plugged_identities(const Plugged& plugged) {
    std::vector<sast::Identity> identities;
    for (const auto& token : plugged.tokens) {
        try {
            std::ranges::move(sast::list_identities(token), std::back_inserter(identities));
        } catch (const Error& e) {
            print_warning(e.what());
        }
    }
    return identities;
}

// The tokens of a CTL: SAST records in the style of the CTL client; of a file in which no record has that
// style, those that stand as nothing else.
std::vector<sast::Certificate> tokens_of(const TrustList& list) {
    auto certificates = cluster::token_certificates(list);
    if (!certificates.empty()) return certificates;
    const auto is_server = [&](ByteView der) {
        return std::ranges::any_of(list.records(), [&](const Record& record) {
            return record.role() != Role::Sast && record.certificate() && equal(*record.certificate(), der);
        });
    };
    for (const Record& record : list.records()) {
        if (record.role() != Role::Sast || !record.certificate() || is_server(*record.certificate()))
            continue;
        certificates.push_back(sast::Certificate::decode(*record.certificate()));
    }
    return certificates;
}

void examine(Row& row, std::int64_t time) {
    if (row.certificate.not_after() < time) {
        row.problems.push_back("its certificate expired on " + date_text(row.certificate.not_after()));
    }
    if (row.plugged == nullptr) {
        row.problems.emplace_back("not plugged in");
        return;
    }
    row.pin = pin_status(row.plugged->token);
    if (row.plugged->evidence == sast::KeyEvidence::NotSeen) {
        row.problems.emplace_back("its key cannot be seen without login; rehearse it");
    }
    if (row.pin.state == pkcs11::PinState::Locked || row.pin.state == pkcs11::PinState::FinalTry ||
        row.pin.state == pkcs11::PinState::NotInitialized) {
        row.problems.push_back("PIN: " + to_text(row.pin));
    }
}

ExitCode run(const TokenReadyOptions& options) {
    std::vector<sast::Certificate> wanted;
    if (!options.ctl.empty()) wanted = tokens_of(load_list(options.ctl));
    const Plugged plugged = find_tokens(options.token, std::nullopt);
    const auto identities = plugged_identities(plugged);
    if (options.ctl.empty()) {
        for (const auto& identity : identities) {
            if (identity.is_sast()) wanted.push_back(identity.certificate);
        }
    }

    const std::int64_t time = unix_now();
    Json json{{"tokens", Json::array()}};
    std::string text;
    std::size_t ready = 0;
    for (const auto& certificate : wanted) {
        Row row{certificate, nullptr, {}, {}};
        const auto found = std::ranges::find(identities, certificate, &sast::Identity::certificate);
        if (found != identities.end()) row.plugged = &*found;
        examine(row, time);
        ready += row.problems.empty() ? 1 : 0;
        Json entry{{"certificate", certificate.subject_text()},
                   {"ready", row.problems.empty()},
                   {"problems", row.problems},
                   {"not-after", date_text(certificate.not_after())}};
        std::string where;
        if (row.plugged != nullptr) {
            entry["token"] = to_json(row.plugged->token);
            where = fmt::format(" {}, PIN: {}", row.plugged->token.text(), to_text(row.pin));
        }
        json["tokens"].push_back(std::move(entry));
        text += fmt::format(
            "{} {}:{}{}{}\n",
            coloured(row.problems.empty() ? "ready    " : "not ready",
                     row.problems.empty() ? Tone::Good : Tone::Bad),
            printable(certificate.common_name()), where, where.empty() || row.problems.empty() ? "" : ";",
            row.problems.empty() ? "" : " " + fmt::format("{}", fmt::join(row.problems, "; ")));
    }
    const bool all = ready == wanted.size() && !wanted.empty();
    json["ready"] = all;
    text += wanted.empty()
                ? (options.ctl.empty() ? "no SAST token is plugged in\n" : "this CTL names no token\n")
                : fmt::format("{} of {} tokens ready\n", ready, wanted.size());
    options.format == Format::AsJson ? print_json(json) : print(text);
    return all ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_token_ready(Command parent, Action& action) {
    const auto options = std::make_shared<TokenReadyOptions>();
    Command command = add_command(parent, "ready",
                                  "Before a maintenance window: is each token of the CTL plugged in and "
                                  "able to sign? No PIN. Exit 0: all are",
                                  "ctlsign token ready --ctl CTLFile.tlv");
    command
        .add_option("--ctl", options->ctl,
                    "The CTL whose tokens are meant; default: every SAST token plugged in")
        .type_name("FILE");
    add_module_option(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
