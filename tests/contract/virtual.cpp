#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/contract/token_kind.hpp>
#include <tests/support/certificates.hpp>

namespace ctlsign::testing::contract {

namespace {
/// A token of the virtual module, as its profile says.
class Virtual final : public TokenKind {
  public:
    explicit Virtual(const std::string& profile) : profile_(softhsm::load_profile(profile)) {}

    const char* key_name() const override {
        return has_short_keys() ? TokenKind::key_name() : "krakow/regenerated/cucm-1051-a-pub";
    }
    const char* other_key_name() const override {
        return has_short_keys() ? TokenKind::other_key_name() : "krakow/tokens/test-manufacturing-ca";
    }
    void provision() override { token_.emplace(profile_, "A", key_of(key_name())); }
    std::string module_path() const override { return VirtualToken::module(); }
    std::string pin() const override { return token_->pin(); }

    void pull() override { token_->unplug(); }
    void insert(unsigned reader) override { token_->plug(reader); }
    void insert_other() override { other_.emplace(profile_, "B", key_of(other_key_name())); }
    void pull_in_signature() override { token_->fault("on C_Sign unplug A"); }
    void hang() override { token_->fault("on C_Sign hang"); }
    void die() override { token_->fault("on C_Sign crash"); }
    std::optional<pkcs11::PinTries> tries() override {
        const unsigned long maximum = profile_.pin.tries;
        if (maximum == 0) return std::nullopt;
        unsigned long left = maximum;  // as long as the file is not there
        std::ifstream(token_->folder() / "pin-tries") >> left;
        return pkcs11::PinTries{left, maximum};
    }

  private:
    bool has_short_keys() const { return std::ranges::count(profile_.key.sizes, 1024U) > 0; }
    static softhsm::Key key_of(const std::string& stem) {
        softhsm::Key key;
        key.pem = read_text(stem + ".key");
        key.certificate = load_certificate(stem + ".pem");
        return key;
    }

    softhsm::Profile profile_;
    std::optional<VirtualToken> token_, other_;
};
}  // namespace

std::unique_ptr<TokenKind> make_virtual(const char* profile) {
    return std::make_unique<Virtual>(profile);
}

}  // namespace ctlsign::testing::contract
