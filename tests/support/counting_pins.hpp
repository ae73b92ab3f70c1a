#pragma once

#include <functional>
#include <string>
#include <utility>

#include <sast/pin_source.hpp>

namespace ctlsign::testing {

/// Gives one PIN and counts how often it was asked.
class CountingPins final : public sast::PinSource {
  public:
    explicit CountingPins(std::string pin) : pin_(std::move(pin)) {}
    pkcs11::Pin ask(const sast::PinRequest& request) override {
        ++asked;
        last_subject = request.subject;
        if (on_ask) on_ask();
        std::string copy = pin_;
        return pkcs11::Pin::take(copy);
    }
    void look_at_reader(const sast::PinRequest& /*request*/) override { ++looked; }
    int asked = 0, looked = 0;
    std::string last_subject;
    std::function<void()> on_ask;  ///< what happens while the person types

  private:
    std::string pin_;
};

}  // namespace ctlsign::testing
