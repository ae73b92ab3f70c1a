#include <string>

#include <sast/error.hpp>

namespace ctlsign::sast {

namespace {

class Category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "sast"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::MalformedCertificate:
                return "not an X.509 certificate";
            case Errc::MalformedKey:
                return "not a key that can be read";
            case Errc::NoToken:
                return "no plugged token matches";
            case Errc::SeveralTokens:
                return "more than one token matches";
            case Errc::SeveralKeys:
                return "more than one key matches";
            case Errc::NoCertificate:
                return "no certificate for this key";
            case Errc::NoKey:
                return "no private key";
            case Errc::KeyMismatch:
                return "the certificate belongs to another key";
            case Errc::UnsupportedKey:
                return "this kind or size of key is not supported";
            case Errc::PinNeeded:
                return "a PIN is needed";
            case Errc::WrongPassphrase:
                return "the passphrase is wrong";
            case Errc::MalformedLedger:
                return "the list of rejected PINs cannot be read";
            case Errc::WrongSignature:
                return "the signature that came back is not valid";
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

}  // namespace ctlsign::sast
