#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace ctlsign::testing {

/// All of a file that a test has made. One that is missing fails the test.
inline std::string load_text(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("missing: " + file.string());
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace ctlsign::testing
