#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#include <pkcs11/bytes.hpp>
#include <tests/support/data.hpp>

namespace ctlsign::testing {

/// A signed file taken apart by hand, for tests below the floor that decodes trust lists: the octets that
/// were signed (the file without tag 12), and the signature.
struct Golden {
    Bytes message, signature;
};

inline Golden read_golden(const std::string& name) {
    const Bytes file = read_data(name);
    std::size_t at = 0;
    while (file.at(at) != 12) at += 3U + file.at(at + 1) * 256U + file.at(at + 2);
    const std::size_t size = file.at(at + 1) * 256U + file.at(at + 2);
    if (at + 3 + size > file.size()) throw std::runtime_error("no signature in " + name);
    const auto begin = file.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = begin + static_cast<std::ptrdiff_t>(3 + size);
    Golden golden{Bytes(file.begin(), begin), Bytes(begin + 3, end)};
    golden.message.insert(golden.message.end(), end, file.end());
    return golden;
}

}  // namespace ctlsign::testing
