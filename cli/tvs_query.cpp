#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include <cli/input.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>
#include <cli/tvs.hpp>
#include <ctlsign/phone/device.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <ctlsign/trustlist/text.hpp>
#include <ctlsign/tvs/client.hpp>

namespace ctlsign::cli {

namespace {

struct TvsQueryOptions {
    std::string server, certificate, list, style = "callmanager", device = "CP-0000-SEP000000000000", itl,
                                           identity;
    std::vector<std::string> server_certificates;
    bool whole_certificate = false;
    unsigned timeout = 10;
    tvs::TlsPolicy policy;
    Format format = Format::AsText;
};

constexpr std::uint32_t kId = 1;

SignerId signer_in_question(const TvsQueryOptions& options) {
    if (!options.list.empty()) {
        const TrustList list = load_list(options.list);
        return {std::string(list.signer_name()), std::string(list.signer_issuer()),
                Bytes(list.signer_serial().begin(), list.signer_serial().end())};
    }
    const auto style = find_name_style(options.style);
    if (!style) throw UsageError("--name-style is callmanager, ctl-client or rfc4514");
    return make_signer_id(load_certificate(options.certificate), *style);
}

tvs::Message make_request(const TvsQueryOptions& options) {
    if (options.certificate.empty() == options.list.empty())
        throw UsageError("give either --certificate or --list: whom to ask about");
    if (options.whole_certificate) {
        if (options.certificate.empty()) throw UsageError("--verify sends a certificate: give --certificate");
        const auto certificate = load_certificate(options.certificate);
        return {
            kId, 0,
            tvs::VerifyRequest{options.device, Bytes(certificate.der().begin(), certificate.der().end())}};
    }
    const SignerId signer = signer_in_question(options);
    return {kId, 0, tvs::QueryRequest{options.device, signer.name, signer.issuer, signer.serial}};
}

// Trusts the TVS records of an ITL, or the certificates given; with neither whoever answers, and says so.
tvs::Trust make_trust(const TvsQueryOptions& options) {
    auto trusted = std::make_shared<std::vector<sast::Certificate>>();
    for (const std::string& path : options.server_certificates) {
        for (auto& certificate : load_certificates(path)) trusted->push_back(std::move(certificate));
    }
    auto installed = std::make_shared<phone::Installed>();
    if (!options.itl.empty()) installed->itl = std::make_shared<const TrustList>(load_list(options.itl));
    const bool anyone = trusted->empty() && options.itl.empty();
    if (anyone) print_warning("whoever answers is believed; give --itl or --server-certificate");
    return [trusted, installed, anyone](const sast::Certificate& certificate) {
        return anyone || std::ranges::find(*trusted, certificate) != trusted->end() ||
               installed->trusts_tvs(certificate);
    };
}

std::string describe(const tvs::Exchange& exchange) {
    std::string text;
    const auto out = std::back_inserter(text);
    if (exchange.server)
        fmt::format_to(out, "server: {}, {}\n", printable(exchange.server->subject_text()),
                       exchange.tls_version);
    fmt::format_to(out, "sent {} bytes: {}\n", exchange.request.size(), to_hex(exchange.request));
    if (!exchange.response.empty())
        fmt::format_to(out, "received {} bytes: {}\n", exchange.response.size(), to_hex(exchange.response));
    if (!exchange.answer) return text;
    const tvs::Answer& answer = *exchange.answer;
    const bool valid = answer.status == tvs::Status::Valid;
    fmt::format_to(out, "status: {}\n",
                   coloured(valid ? "valid" : "invalid", valid ? Tone::Good : Tone::Bad));
    for (const Role role : answer.roles)
        fmt::format_to(out, "role: {} ({})\n", role_name(role), static_cast<unsigned>(role));
    if (!answer.certificate.empty())
        fmt::format_to(out, "certificate: {} octets\n", answer.certificate.size());
    if (answer.ttl) fmt::format_to(out, "TTL: {} seconds\n", *answer.ttl);
    return text;
}

Json to_json(const tvs::Exchange& exchange) {
    Json json{{"end", to_text(exchange.end)}, {"request", to_hex(exchange.request)}};
    if (!exchange.problem.empty()) json["problem"] = exchange.problem;
    if (exchange.server) json["server"] = exchange.server->subject_text();
    if (!exchange.tls_version.empty()) json["tls"] = exchange.tls_version;
    if (!exchange.response.empty()) json["response"] = to_hex(exchange.response);
    if (exchange.answer) {
        json["valid"] = exchange.answer->status == tvs::Status::Valid;
        json["roles"] = Json::array();
        for (const Role role : exchange.answer->roles) json["roles"].push_back(role_name(role));
        if (!exchange.answer->certificate.empty()) json["certificate"] = to_hex(exchange.answer->certificate);
        if (exchange.answer->ttl) json["ttl"] = *exchange.answer->ttl;
    }
    return json;
}

ExitCode run(const TvsQueryOptions& options) {
    tvs::ClientOptions client{nullptr, options.policy, std::chrono::seconds(options.timeout)};
    tvs::TlsIdentity identity;
    if (!options.identity.empty()) {
        identity = load_identity(options.identity);
        client.identity = &identity;
    }
    const tvs::Endpoint server = parse_endpoint(options.server);
    const tvs::Exchange exchange = tvs::ask(server, make_request(options), make_trust(options), client);
    if (options.format == Format::AsJson) {
        print_json(to_json(exchange));
    } else {
        print(describe(exchange));
    }
    switch (exchange.end) {
        case tvs::Exchange::End::Answered:
            return exchange.answer->status == tvs::Status::Valid ? ExitCode::Done : ExitCode::No;
        case tvs::Exchange::End::NotTrusted:
            throw NotValid(fmt::format("{}: {}", to_text(server), exchange.problem));
        case tvs::Exchange::End::Malformed:
            throw Error(Errc::Malformed, "asking", to_text(server), exchange.problem);
        default:
            throw Error(std::make_error_code(std::errc::not_connected), "asking", to_text(server),
                        exchange.problem);
    }
}

}  // namespace

void add_tvs_query(Command parent, Action& action) {
    const auto options = std::make_shared<TvsQueryOptions>();
    Command command = add_command(
        parent, "query", "Ask a TVS server as a phone does, and show the exchange; exit 1 for invalid",
        "ctlsign tvs query cucm1:2445 --list CTLFile.tlv --itl ITLFile.tlv");
    command.add_option("SERVER", options->server, "HOST[:PORT]; the port is 2445").required();
    command.add_option("--certificate", options->certificate, "Whom to ask about").type_name("PEM");
    command.add_option("--list", options->list, "A trust list: ask about its signer, as its header names it")
        .type_name("FILE");
    command
        .add_option("--name-style", options->style,
                    "Of --certificate: callmanager (default), ctl-client or rfc4514")
        .type_name("STYLE");
    command.add_flag("--verify", options->whole_certificate, "Send the whole certificate (VERIFY_CERT_REQ)");
    command.add_option("--device", options->device, "Name of the phone").type_name("NAME");
    command.add_option("--itl", options->itl, "Trust the server that this list names as TVS")
        .type_name("FILE");
    command
        .add_option("--server-certificate", options->server_certificates, "Trust this server; again for each")
        .type_name("PEM")
        .one_value();
    command.add_option("--identity", options->identity, "What the phone presents: certificate and key")
        .type_name("PEM");
    command.add_option("--timeout", options->timeout, "Seconds for the whole exchange (default 10)")
        .type_name("SECONDS")
        .within(1U, 3600U);
    add_tls_options(command, options->policy);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
