#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include <cli/input.hpp>
#include <cli/output.hpp>
#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>
#include <pkcs11/token_lock.hpp>
#include <sast/public_key.hpp>
#include <sast/token_signer.hpp>
#include <softhsm-profiles/learn.hpp>
#include <softhsm-profiles/mechanism_names.hpp>

namespace ctlsign::cli {

namespace {

namespace attribute = pkcs11::attribute;
using pkcs11::ObjectClass;
using pkcs11::Session;
using std::chrono::milliseconds;

// Which token it was: label and certificate often tell the serial number too.
enum class Naming { LeftOut, Told };

struct TokenSelftestOptions {
    TokenOptions token;
    std::string name, certificate, report;
    Naming naming = Naming::LeftOut;
    Format format = Format::AsText;
};

// What an error says without naming the token.
std::string code_text(const Error& error) {
    return fmt::format("{}: {}", error.failed(), error.code().message());
}

class Selftest {
  public:
    Selftest(const pkcs11::Token& token, Naming naming) : token_(token), naming_(naming) {}

    void examine_module() {
        const auto& module = *token_.module();
        const auto info = module.info();
        report_["module"] = {{"file", std::filesystem::path(module.path()).filename().string()},
                             {"manufacturer", info.manufacturer},
                             {"description", info.description},
                             {"library", fmt::format("{}.{}", info.library_major, info.library_minor)},
                             {"cryptoki", fmt::format("{}.{}", info.cryptoki_major, info.cryptoki_minor)},
                             {"slots", module.slots(pkcs11::Module::Slots::All).size()},
                             {"quirks", to_json(module.quirks())}};
        try {
            if (module.poll_slot_event()) see("a slot event though nothing was plugged or pulled");
        } catch (const Error& e) {
            see("no slot events (" + code_text(e) + ")");
        }
    }

    void examine_token() {
        Json json = to_json(token_);
        for (const char* key : {"slot", "module", "uri"}) json.erase(key);
        if (naming_ == Naming::LeftOut) {
            json.erase("label");
            json.erase("serial");
        }
        json["pin-minimum"] = token_.info().min_pin;
        json["pin-maximum"] = token_.info().max_pin;
        json["quirks"] = to_json(token_.quirks());
        report_["token"] = std::move(json);
        if (token_.info().login_required && token_.info().pin == pkcs11::PinState::NotInitialized)
            see("no CKF_USER_PIN_INITIALIZED");
        if (token_.info().serial.empty()) see("no serial number");
        for (const auto mechanism : token_.mechanisms()) {
            const auto offer = token_.find_mechanism(mechanism);
            const auto name = softhsm::find_mechanism_name(static_cast<unsigned long>(mechanism));
            Json entry{{"name", name.empty() ? to_text(mechanism) : std::string(name)}};
            if (offer) {
                entry.update({{"minimum", offer->min_key_bits},
                              {"maximum", offer->max_key_bits},
                              {"sign", offer->can_sign},
                              {"hardware", offer->hardware}});
            } else {
                see("no C_GetMechanismInfo of " + entry["name"].get<std::string>() + ", which it lists");
            }
            report_["mechanisms"].push_back(std::move(entry));
        }
    }

    void examine_sessions() {
        std::optional<Session> session;
        measure("open", [&] { session = Session::open(token_); });
        std::size_t objects = 0;
        measure("list-objects", [&] { objects = session->find_objects({}).size(); });
        report_["objects-without-login"] = objects;
        if (objects == 0) see("no objects without login");
        const auto opening = softhsm::measure_opening(*session);
        report_["milliseconds"]["open-after-close"] = opening.count();
        if (opening >= softhsm::kSlowOpening) see("slow to open after a close");
    }

    void examine_signatures(sast::TokenSigner& signer) {
        const auto& identity = signer.identity();
        Json json = to_json(identity);
        if (naming_ == Naming::LeftOut) {
            for (const char* key : {"subject", "issuer", "serial", "serial-reversed", "id", "label"})
                json.erase(key);
        }
        report_["identity"] = std::move(json);
        measure("login", [&] { signer.unlock(); });
        for (const Digest digest : {Digest::Sha1, Digest::Sha256, Digest::Sha512}) {
            const auto plan = signer.plan(digest);
            report_["plan"][std::string(to_text(digest))] = plan.explanation;
            if (plan.steps.empty()) continue;
            sign_by_plan(signer, digest);
            for (const auto& step : plan.steps) sign_alone(signer, digest, step);
        }
    }

    bool all_signed() const noexcept { return all_signed_; }
    const Json& report() const noexcept { return report_; }

  private:
    void see(std::string what) { report_["seen"].push_back(std::move(what)); }

    static milliseconds time(auto act) {
        const auto begin = std::chrono::steady_clock::now();
        act();
        return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
    }
    void measure(const char* what, auto act) { report_["milliseconds"][what] = time(act).count(); }

    void record(Digest digest, const std::string& way, milliseconds taken, const std::string& result) {
        report_["signatures"].push_back(
            {{"digest", to_text(digest)}, {"way", way}, {"milliseconds", taken.count()}, {"result", result}});
    }

    // As every command of this program signs.
    void sign_by_plan(sast::TokenSigner& signer, Digest digest) {
        try {
            record(digest, "plan", time([&] { signer.sign(digest, message_); }), "verified");
        } catch (const Error& e) {
            if (e.code() == pkcs11::Recovery::token_gone) throw;
            all_signed_ = false;
            record(digest, "plan", {}, code_text(e));
        }
    }

    // One way by itself, in a session of its own: a failure may leave the operation active.
    void sign_alone(const sast::TokenSigner& signer, Digest digest, pkcs11::SignatureStep step) {
        pkcs11::TokenLock lock(token_);
        const auto hold = lock.hold(pkcs11::TokenLock::kPatience);
        Session session = Session::open(token_);
        const auto key = find_key(session, signer.identity());
        // A key that asks each time was tried by the plan, with the PIN that the signer holds.
        if (!key || session.find_attribute<attribute::AlwaysAuthenticate>(*key).value_or(false)) return;
        const auto length = signer.facts().signature_length;
        const Bytes input = pkcs11::encode_input(step, digest, message_, length);
        Bytes signature;
        try {
            const auto taken = time([&] { signature = session.sign(step.mechanism, *key, input, length); });
            auto public_key = sast::PublicKey::from_spki(signer.identity().certificate.spki_der());
            const bool good = public_key.verify(digest, {{message_}}, signature);
            record(digest, to_text(step.mechanism), taken, good ? "verified" : "NOT VALID");
            if (!good) see("a wrong signature with " + to_text(step.mechanism));
        } catch (const Error& e) {
            if (e.code() == pkcs11::Recovery::token_gone) throw;
            record(digest, to_text(step.mechanism), {}, code_text(e));
            see(to_text(step.mechanism) + " is offered and does not work");
        }
    }

    static std::optional<pkcs11::ObjectHandle> find_key(const Session& session,
                                                        const sast::Identity& identity) {
        auto wanted = pkcs11::Template().with<attribute::Class>(ObjectClass::PrivateKey);
        if (!identity.key_id.empty()) wanted.with<attribute::Id>(identity.key_id);
        const auto found = session.find_objects(wanted);
        if (found.size() != 1) return std::nullopt;  // the plan has told them apart by their moduli
        return found.front();
    }

    const pkcs11::Token& token_;
    Naming naming_;
    Bytes message_ = make_test_message();
    bool all_signed_ = true;
    Json report_{{"ctlsign", CTLSIGN_VERSION}, {"seen", Json::array()}, {"signatures", Json::array()}};
};

std::string summary(const Json& report) {
    std::string text;
    for (const Json& entry : report["signatures"]) {
        text += fmt::format("  {:<8} {:<20} {:>5} ms  {}\n", entry["digest"].get<std::string>(),
                            entry["way"].get<std::string>(), entry["milliseconds"].get<long>(),
                            entry["result"].get<std::string>());
    }
    for (const Json& what : report["seen"]) text += fmt::format("  seen: {}\n", what.get<std::string>());
    return text;
}

ExitCode run(const TokenSelftestOptions& options) {
    std::optional<sast::Certificate> stand_in;
    if (!options.certificate.empty()) stand_in = load_certificate(options.certificate);
    std::optional<sast::TokenName> name;
    if (!options.name.empty()) name = sast::TokenName::parse(options.name);
    const auto uri = name ? name->uri() : std::nullopt;
    const auto token = sast::choose_token(find_tokens(options.token, uri).tokens, name);
    const auto pins = make_pins(options.token, uri);
    // Everything that can fail without the PIN comes before it.
    OutputFile output = open_output(options.report, 0, {options.certificate});
    Selftest selftest(token, options.naming);
    selftest.examine_sessions();  // first, while no session has been closed yet
    selftest.examine_module();
    selftest.examine_token();
    sast::TokenSigner signer(sast::choose_identity(token, uri, stand_in), *pins, make_policy(options.token));
    selftest.examine_signatures(signer);
    const Json& report = selftest.report();
    output.store(as_bytes(report.dump(2, ' ', false, Json::error_handler_t::replace) + '\n'));
    if (options.format == Format::AsJson) {
        print_json(report);
    } else {
        print(fmt::format("{}\n{}{}: read it, then send it to the project\n", token.text(), summary(report),
                          options.report));
    }
    return selftest.all_signed() ? ExitCode::Done : ExitCode::No;
}

}  // namespace

void add_token_selftest(Command parent, Action& action) {
    const auto options = std::make_shared<TokenSelftestOptions>();
    Command command = add_command(parent, "selftest",
                                  "Try what a token can do and write a report for the project: one login, "
                                  "test signatures with every digest "
                                  "and mechanism, nothing written to the token. The report holds no PIN, "
                                  "and without --with-serial neither "
                                  "serial number, label nor names of the certificate",
                                  "ctlsign token selftest SAST-ADN008580ef --report etoken.json");
    command.add_option("TOKEN", options->name,
                       "PKCS#11 URI, label or serial number; default: the only one plugged in");
    command.add_option("--report", options->report, "Report to write, JSON").type_name("FILE").required();
    command.add_option("--certificate", options->certificate, "Certificate, where the token holds none")
        .type_name("FILE");
    command.add_flag_callback(
        "--with-serial", [options] { options->naming = Naming::Told; },
        "Tell serial number, label and names of the certificate too");
    add_token_options(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
