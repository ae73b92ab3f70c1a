#pragma once

#include <string>

#include <cli/tree.hpp>

namespace ctlsign::cli {

/// Every command of PROGRAM on one page, for docs/reference/commands.md.
std::string to_markdown(const CommandInfo& program);

}  // namespace ctlsign::cli
