#include <tests/contract/token_kind.hpp>
#include <tests/support/soft_tokens.hpp>

namespace ctlsign::testing::contract {

namespace {
class SoftHsm final : public TokenKind {
  public:
    void provision() override { tokens_.add("A", "plain-softhsm", key_name()); }
    std::shared_ptr<pkcs11::Module> open() override { return tokens_.open(); }
    std::string pin() const override { return tokens_.pin(); }

  private:
    SoftTokens tokens_;
};
}  // namespace

std::unique_ptr<TokenKind> make_softhsm() {
    return std::make_unique<SoftHsm>();
}

}  // namespace ctlsign::testing::contract
