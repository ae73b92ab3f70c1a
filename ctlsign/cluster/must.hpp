#pragma once

#include <optional>
#include <string_view>

#include <ctlsign/error.hpp>

namespace ctlsign::cluster {

[[noreturn]] inline void damaged(std::string_view what) {
    throw Error(Errc::Malformed, "reading the cluster's database", what, "restore a backup");
}

/// Private: what a row of the database says; WHAT it is, when it says nothing that is known.
template <typename T>
T must(const std::optional<T>& value, std::string_view what) {
    if (!value) damaged(what);
    return *value;
}

}  // namespace ctlsign::cluster
