#pragma once

#include <string>
#include <system_error>

#include <pkcs11/error.hpp>

namespace ctlsign::testing {

/// The code of the Error that ACTION ends with, its text in MESSAGE; none when it ends well.
std::error_code code_of(auto&& action, std::string* message = nullptr) {
    try {
        action();
    } catch (const Error& e) {
        if (message != nullptr) *message = e.what();
        return e.code();
    }
    return {};
}

}  // namespace ctlsign::testing
