#pragma once

#include <bindings/python/python.hpp>
#include <pkcs11/pin.hpp>
#include <sast/pin_source.hpp>

namespace ctlsign::python {

/// The functions of a caller by which a signer talks to a person. What they raise ends the signature and
/// comes out as it is.
class Callbacks final : public sast::PinSource {
  public:
    /// Each may be None. Without PIN the PIN comes from OTHERWISE, if there is that.
    Callbacks(py::object pin, py::object on_wait, py::object on_reader,
              std::unique_ptr<sast::PinSource> otherwise);

    pkcs11::Pin ask(const sast::PinRequest& request) override;
    void look_at_reader(const sast::PinRequest& request) override;
    void tell_to_put_back(const pkcs11::Token& token) const;

    /// For Python's collector of garbage: a callback may hold the signer that calls it.
    int traverse(visitproc visit, void* arg) const;
    void clear();

  private:
    py::object pin_, on_wait_, on_reader_;
    std::unique_ptr<sast::PinSource> otherwise_;
};

void add_pin_request(py::module_& module);

}  // namespace ctlsign::python
