#pragma once

#include <cli/command.hpp>

namespace ctlsign::cli {

void add_virtual_learn(Command parent, Action& action);

}  // namespace ctlsign::cli
