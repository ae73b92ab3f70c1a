#include <tests/contract/token_kind.hpp>
#include <tests/pcsc/virtual_card.hpp>

namespace ctlsign::testing::contract {

namespace {
/// OpenSC over the real pcscd (tests/pcsc/with_pcscd).
class OpenSc final : public TokenKind {
  public:
    void provision() override { card_.insert(); }
    std::shared_ptr<pkcs11::Module> open() override { return pkcs11::Module::open("opensc-pkcs11.so"); }
    std::string pin() const override { return PivCard::kPin; }

    void pull() override { card_.pull(); }
    void insert(unsigned reader) override { card_.insert(reader); }
    void insert_other() override { other_.insert(); }
    void pull_in_signature() override { card_.pull_in_signature(); }

  private:
    VirtualCard card_{make_piv_card(1, OpenSc::key_name())};
    VirtualCard other_{make_piv_card(2, OpenSc::other_key_name())};
};
}  // namespace

std::unique_ptr<TokenKind> make_opensc() {
    return std::make_unique<OpenSc>();
}

}  // namespace ctlsign::testing::contract
