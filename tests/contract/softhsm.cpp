#include <tests/contract/token_kind.hpp>
#include <tests/support/soft_tokens.hpp>

namespace ctlsign::testing::contract {

namespace {
class SoftHsm final : public TokenKind {
  public:
    void provision() override { tokens_.add("A", "plain-softhsm", key_name()); }
    std::string module_path() const override { return softhsm::find_softhsm_module(); }
    std::string pin() const override { return tokens_.pin(); }

  private:
    SoftTokens tokens_;
};
}  // namespace

std::unique_ptr<TokenKind> make_softhsm() {
    return std::make_unique<SoftHsm>();
}

}  // namespace ctlsign::testing::contract
