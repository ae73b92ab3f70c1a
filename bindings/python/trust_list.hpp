#pragma once

#include <memory>
#include <variant>

#include <bindings/python/python.hpp>
#include <ctlsign/trustlist/model.hpp>
#include <ctlsign/trustlist/sgn.hpp>
#include <ctlsign/trustlist/verify.hpp>

namespace ctlsign::python {

using AnyFile = std::variant<std::shared_ptr<TrustList>, std::shared_ptr<SgnFile>>;

}  // namespace ctlsign::python
