#pragma once

#include <string>

#include <cli/cluster_access.hpp>
#include <cli/json.hpp>
#include <cli/terminal.hpp>

namespace ctlsign::cli {

/// What is made anew, and how.
struct RegenerateOptions {
    ClusterOptions cluster;
    std::string store, node, key, subject;
    unsigned bits = 2048, days = 5 * 365;
    Answer answer = Answer::Ask;
    Force force = Force::No;
    Format format = Format::AsText;
};
/// Prints what is said in words; the answer is the report for --json.
Json perform_regeneration(Administration& administration, const RegenerateOptions& options);

}  // namespace ctlsign::cli
