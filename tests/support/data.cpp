#include <fstream>
#include <iterator>
#include <stdexcept>

#include <tests/support/data.hpp>

namespace ctlsign::testing {

std::string data_path(const std::string& name) {
    return std::string(CTLSIGN_TEST_DATA) + "/" + name;
}

Bytes read_data(const std::string& name) {
    std::ifstream in(data_path(name), std::ios::binary);
    if (!in) throw std::runtime_error("test data missing: " + name);
    return Bytes(std::istreambuf_iterator<char>(in), {});
}

std::string read_text(const std::string& name) {
    const Bytes bytes = read_data(name);
    return std::string(as_text(bytes));
}

}  // namespace ctlsign::testing
