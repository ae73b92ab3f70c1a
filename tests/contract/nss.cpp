#include <fstream>

#include <tests/contract/token_kind.hpp>
#include <tests/support/child_process.hpp>
#include <tests/support/data.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::testing::contract {

namespace {
/// Mozilla's softokn with a data base of its own. It has two tokens; the other one holds no keys.
class Nss final : public TokenKind {
  public:
    void provision() override {
        const std::string pin_file = folder_ / "pin";
        const std::string pkcs12 = folder_ / "key.p12";
        std::ofstream(pin_file) << pin();
        run({"certutil", "-N", "-d", database_, "-f", pin_file});
        run({"openssl", "pkcs12", "-export", "-in", data_path(std::string(key_name()) + ".pem"), "-inkey",
             data_path(std::string(key_name()) + ".key"), "-name", "A", "-passout", "pass:none", "-out",
             pkcs12});
        run({"pk12util", "-i", pkcs12, "-d", database_, "-k", pin_file, "-W", "none"});
    }
    std::string module_path() const override { return CTLSIGN_NSS_MODULE; }
    std::shared_ptr<pkcs11::Module> open() override {
        return pkcs11::Module::open(
            module_path(),
            {.init_reserved = "configdir='" + database_ + "' certPrefix='' keyPrefix='' secmod='' flags="});
    }
    std::string pin() const override { return "test-pin"; }
    std::optional<sast::TokenName> token_name() const override {
        return sast::TokenName::parse("NSS Certificate DB");
    }

  private:
    TemporaryFolder folder_;
    std::string database_ = "sql:" + folder_.path().string();
};
}  // namespace

std::unique_ptr<TokenKind> make_nss() {
    return std::make_unique<Nss>();
}

}  // namespace ctlsign::testing::contract
