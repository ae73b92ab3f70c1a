#include <string>

#include <ctlsign/error.hpp>

namespace ctlsign {

namespace {

class Category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "ctlsign"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::Malformed:
                return "malformed";
            case Errc::Oversized:
                return "too large";
            case Errc::Unencodable:
                return "the format cannot hold this";
            case Errc::NotVerified:
                return "the file does not verify";
            case Errc::DigestMismatch:
                return "the digest is not the approved one";
            case Errc::RuleRefused:
                return "refused by a rule";
            case Errc::InUse:
                return "in use";
            case Errc::NodeFailed:
                return "the node failed";
            case Errc::Unfinished:
                return "nodes serve different files";
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

}  // namespace ctlsign
