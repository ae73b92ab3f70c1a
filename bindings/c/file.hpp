#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <variant>

#include <bindings/c/argument.hpp>
#include <ctlsign/trustlist/sgn.hpp>

struct ctlsign_file : ctlsign::c::Object {
    using Content = std::variant<ctlsign::TrustList, ctlsign::SgnFile>;
    explicit ctlsign_file(Content decoded) : content(std::move(decoded)) {}

    /// Throws Refusal (CTLSIGN_STATUS_ARGUMENT) on a .sgn file.
    const ctlsign::TrustList& list() const;
    Content content;
};

namespace ctlsign::c {

/// The clock's for CTLSIGN_TIME_DEFAULT.
std::chrono::sys_seconds time_of(std::int64_t seconds);

}  // namespace ctlsign::c
