#pragma once

#include <cli/command.hpp>

namespace ctlsign::cli {

void add_virtual_learn(CLI::App& parent, Action& action);

}  // namespace ctlsign::cli
