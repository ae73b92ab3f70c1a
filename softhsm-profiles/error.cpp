#include <string>

#include <softhsm-profiles/error.hpp>

namespace ctlsign::softhsm {

namespace {

class Category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "softhsm"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::MalformedProfile:
                return "not a token profile";
            case Errc::UnknownProfile:
                return "no such profile";
            case Errc::BadName:
                return "a virtual token cannot have this name";
            case Errc::TokenExists:
                return "there is a virtual token of this name";
            case Errc::NoSoftHsm:
                return "SoftHSM2 is not installed";
            case Errc::ProvisioningDied:
                return "SoftHSM2 died while making the token";
            case Errc::NoSuchToken:
                return "there is no virtual token of this name";
            case Errc::TokenPlugged:
                return "the virtual token is plugged in";
            case Errc::TokenUnplugged:
                return "the virtual token is not plugged in";
            case Errc::ReaderOccupied:
                return "the reader is occupied";
            case Errc::MalformedFault:
                return "not a fault";
            case Errc::NoVirtualModule:
                return "the module of virtual tokens is not installed";
        }
        return "unknown";
    }
};

}  // namespace

const std::error_category& category() noexcept {
    static const Category instance;
    return instance;
}

std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), category()};
}

}  // namespace ctlsign::softhsm
