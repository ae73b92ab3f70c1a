#pragma once

#include <exception>
#include <stdexcept>

namespace ctlsign::cli {

/// What the program says to its caller (cli.md, the table of exits).
enum class ExitCode : int {
    Done = 0,
    No = 1,           ///< signature not valid, phones would refuse, files differ
    Usage = 2,        ///< the command line
    Malformed = 3,    ///< malformed or oversized input
    RuleRefused = 4,  ///< a rule of the cluster, named
    Token = 5,        ///< token, PIN, mechanism, key
    Environment = 6,  ///< disk, network, environment
    Fault = 70,       ///< of the program
};

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
