#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cli/token_report.hpp>
#include <ctlsign/trustlist/names.hpp>
#include <pkcs11/uri.hpp>

namespace ctlsign::cli {

std::string date_text(std::int64_t unix_seconds) {
    return fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
}

pkcs11::PinStatus pin_status(const pkcs11::Token& token) {
    try {
        return pkcs11::Session::open(token).read_pin_status();
    } catch (const Error&) {
        return {token.info().pin, std::nullopt};
    }
}

Json to_json(const pkcs11::Token& token) {
    const auto& info = token.info();
    const auto status = pin_status(token);
    Json json{{"label", info.label},
              {"serial", info.serial},
              {"manufacturer", info.manufacturer},
              {"model", info.model},
              {"hardware", info.hardware_version},
              {"firmware", info.firmware_version},
              {"slot", static_cast<unsigned long>(token.slot())},
              {"module", token.module()->path()},
              {"uri", pkcs11::Uri::of(token).to_text()},
              {"pin", to_text(status.state)},
              {"pin-to-be-changed", info.pin_to_be_changed},
              {"login-required", info.login_required},
              {"pin-at-reader", info.protected_authentication_path}};
    if (status.tries) {
        json["pin-tries-left"] = status.tries->left;
        json["pin-tries-maximum"] = status.tries->maximum;
    }
    return json;
}

Json to_json(const sast::Identity& identity) {
    const auto& certificate = identity.certificate;
    return {{"subject", certificate.subject_text()},
            {"issuer", certificate.issuer_text()},
            {"serial", to_hex(certificate.serial())},
            {"serial-reversed", to_hex(serial_octets(certificate.serial(), NameStyle::CtlClient))},
            {"sast", identity.is_sast()},
            {"key-bits", certificate.key_bits()},
            {"key-seen", identity.evidence == sast::KeyEvidence::Seen},
            {"id", to_hex(identity.key_id)},
            {"label", identity.label},
            {"not-after", date_text(certificate.not_after())}};
}

Json to_json(const pkcs11::Quirks& quirks) {
    return {{"settle-milliseconds", quirks.settle.count()},
            {"busy-after-close-milliseconds", quirks.busy_after_close.count()},
            {"no-sign-final", quirks.no_sign_final},
            {"no-combined-sha1", quirks.no_combined_sha1},
            {"one-operation-at-a-time", quirks.one_operation_at_a_time},
            {"why", quirks.reasons}};
}

Json to_json(const pkcs11::ModuleQuirks& quirks) {
    return {{"never-finalize", quirks.never_finalize},
            {"spurious-first-event", quirks.spurious_first_event},
            {"no-slot-events", quirks.no_slot_events},
            {"why", quirks.reasons}};
}

std::string describe_quirks(const std::vector<std::string>& effects, const std::vector<std::string>& reasons,
                            std::string_view indent) {
    if (effects.empty()) return {};
    std::string text = fmt::format("{}quirks: {}\n", indent, fmt::join(effects, "; "));
    for (const auto& reason : reasons) text += fmt::format("{}  because {}\n", indent, reason);
    return text;
}

std::string describe(const sast::Identity& identity) {
    const auto& certificate = identity.certificate;
    const char* kind = certificate.key_kind() == sast::KeyKind::Rsa  ? "RSA"
                       : certificate.key_kind() == sast::KeyKind::Ec ? "EC"
                                                                     : "key of";
    return fmt::format("{}{}, {} {} bits, valid until {}{}", identity.is_sast() ? "SAST " : "",
                       certificate.subject_text(), kind, certificate.key_bits(),
                       date_text(certificate.not_after()),
                       identity.evidence == sast::KeyEvidence::Seen ? "" : ", key not seen without login");
}

}  // namespace ctlsign::cli
