#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace ctlsign::testing {

/// How often each function was called, out of the LOG of the recording module (RECORD_LOG).
inline std::map<std::string, int> count_calls(const std::filesystem::path& log) {
    std::map<std::string, int> counts;
    std::ifstream in(log);
    for (std::string name, rv; in >> name >> rv;) ++counts[name];
    return counts;
}

}  // namespace ctlsign::testing
