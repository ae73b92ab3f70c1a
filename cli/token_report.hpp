#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <cli/json.hpp>
#include <pkcs11/quirks.hpp>
#include <pkcs11/session.hpp>
#include <sast/identity.hpp>

namespace ctlsign::cli {

/// Flags and counter of TOKEN's PIN as they are now; what was seen when it was found, when it cannot be
/// asked.
pkcs11::PinStatus pin_status(const pkcs11::Token& token);
/// What is told of a token and of who can sign with it, the same in every command.
Json to_json(const pkcs11::Token& token);
Json to_json(const sast::Identity& identity);
/// Every quirk with its value, and why.
Json to_json(const pkcs11::Quirks& quirks);
Json to_json(const pkcs11::ModuleQuirks& quirks);
/// Lines of EFFECTS and of their REASONS, behind INDENT; nothing when there are no effects.
std::string describe_quirks(const std::vector<std::string>& effects, const std::vector<std::string>& reasons,
                            std::string_view indent);
/// One line: subject, key, end of validity.
std::string describe(const sast::Identity& identity);
/// "2026-03-06", in UTC.
std::string date_text(std::int64_t unix_seconds);

}  // namespace ctlsign::cli
