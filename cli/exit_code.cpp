#include <system_error>

#include <cli/exit_code.hpp>
#include <ctlsign/error.hpp>
#include <pkcs11/error.hpp>
#include <sast/error.hpp>
#include <softhsm-profiles/error.hpp>

namespace ctlsign::cli {

namespace {

ExitCode of_pkcs11(pkcs11::Errc code) noexcept {
    switch (code) {
        case pkcs11::Errc::NotAnUri:
        case pkcs11::Errc::PinInUri:
            return ExitCode::Usage;
        case pkcs11::Errc::MalformedQuirks:
            return ExitCode::Malformed;
        default:
            return ExitCode::Token;
    }
}

ExitCode of_sast(sast::Errc code) noexcept {
    switch (code) {
        case sast::Errc::MalformedCertificate:
        case sast::Errc::MalformedKey:
            return ExitCode::Malformed;
        default:
            return ExitCode::Token;
    }
}

ExitCode of_ctlsign(Errc code) noexcept {
    switch (code) {
        case Errc::Malformed:
        case Errc::Oversized:
        case Errc::Unencodable:
            return ExitCode::Malformed;
        case Errc::NotVerified:
        case Errc::DigestMismatch:
            return ExitCode::No;
        case Errc::RuleRefused:
            return ExitCode::RuleRefused;
        case Errc::InUse:
        case Errc::NodeFailed:
        case Errc::Unfinished:
            return ExitCode::Environment;
    }
    return ExitCode::Fault;
}

ExitCode of_softhsm(softhsm::Errc code) noexcept {
    switch (code) {
        case softhsm::Errc::MalformedProfile:
            return ExitCode::Malformed;
        case softhsm::Errc::UnknownProfile:
        case softhsm::Errc::BadName:
        case softhsm::Errc::MalformedFault:
            return ExitCode::Usage;
        default:
            return ExitCode::Environment;
    }
}

ExitCode of_code(const std::error_code& code) noexcept {
    if (code.category() == pkcs11::rv_category()) return ExitCode::Token;
    if (code.category() == pkcs11::category()) return of_pkcs11(static_cast<pkcs11::Errc>(code.value()));
    if (code.category() == sast::category()) return of_sast(static_cast<sast::Errc>(code.value()));
    if (code.category() == softhsm::category()) return of_softhsm(static_cast<softhsm::Errc>(code.value()));
    if (code.category() == ctlsign::category()) return of_ctlsign(static_cast<Errc>(code.value()));
    if (code.category() == std::system_category() || code.category() == std::generic_category())
        return ExitCode::Environment;
    return ExitCode::Fault;
}

}  // namespace

ExitCode exit_code(const std::exception& error) noexcept {
    if (dynamic_cast<const UsageError*>(&error) != nullptr) return ExitCode::Usage;
    if (dynamic_cast<const NotValid*>(&error) != nullptr) return ExitCode::No;
    if (const auto* system = dynamic_cast<const std::system_error*>(&error)) return of_code(system->code());
    return ExitCode::Fault;
}

}  // namespace ctlsign::cli
