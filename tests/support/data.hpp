#pragma once

#include <string>

#include <pkcs11/bytes.hpp>

namespace ctlsign::testing {

std::string data_path(const std::string& name);

/// The octets of a file under tests/data. A vector that is missing fails the test.
Bytes read_data(const std::string& name);

std::string read_text(const std::string& name);

}  // namespace ctlsign::testing
