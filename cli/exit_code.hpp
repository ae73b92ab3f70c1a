#pragma once

#include <array>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace ctlsign::cli {

/// What the program says to its caller.
enum class ExitCode : int { Done = 0, No, Usage, Malformed, RuleRefused, Token, Environment, Fault = 70 };

/// As manual pages and the reference have it.
inline constexpr std::array<std::pair<ExitCode, std::string_view>, 8> kExitMeanings{{
    {ExitCode::Done, "Done, or the answer is yes"},
    {ExitCode::No, "The answer is no: signature not valid, phones would refuse, files differ"},
    {ExitCode::Usage, "Usage"},
    {ExitCode::Malformed, "Malformed or oversized input"},
    {ExitCode::RuleRefused, "Refused by a rule of the cluster"},
    {ExitCode::Token, "Token, PIN or mechanism"},
    {ExitCode::Environment, "Disk, network or environment"},
    {ExitCode::Fault, "A fault of the program"},
}};

/// A command line that cannot be carried out as it stands. Exit 2.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The answer is no, and the message says why. Exit 1.
class NotValid : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The one place where an error becomes an exit code.
ExitCode exit_code(const std::exception& error) noexcept;

}  // namespace ctlsign::cli
