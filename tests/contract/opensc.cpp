#include <signal.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <tests/contract/token_kind.hpp>
#include <tests/pcsc/virtual_card.hpp>

namespace ctlsign::testing::contract {

namespace {
/// OpenSC over the real pcscd (tests/pcsc/with_pcscd).
class OpenSc final : public TokenKind {
  public:
    void provision() override { card_.insert(); }
    std::string module_path() const override { return "opensc-pkcs11.so"; }
    std::string pin() const override { return PivCard::kPin; }

    void pull() override { card_.pull(); }
    void insert(unsigned reader) override { card_.insert(reader); }
    void insert_other() override { other_.insert(); }
    void pull_in_signature() override { card_.pull_in_signature(); }

    /// Kills pcscd; with_pcscd starts another one.
    void restart_daemon() override {
        const pid_t before = read_daemon();
        if (before <= 0 || kill(before, SIGKILL) != 0) throw std::runtime_error("no pcscd to kill");
        card_.pull();
        for (const auto end = std::chrono::steady_clock::now() + kStart;;) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            try {
                if (const pid_t now = read_daemon(); now > 0 && now != before) return card_.insert();
            } catch (const std::system_error&) {  // it does not listen yet
                if (std::chrono::steady_clock::now() > end) throw;
            }
            if (std::chrono::steady_clock::now() > end) throw std::runtime_error("pcscd does not start");
        }
    }
    std::optional<pkcs11::PinTries> tries() override {
        return pkcs11::PinTries{card_.card().tries_left(), PivCard::kTries};
    }

  private:
    static constexpr auto kStart = std::chrono::seconds(30);
    static pid_t read_daemon() {
        pid_t process = 0;
        std::ifstream("/run/pcscd/pcscd.pid") >> process;
        return process;
    }
    VirtualCard card_{make_piv_card(1, OpenSc::key_name())};
    VirtualCard other_{make_piv_card(2, OpenSc::other_key_name())};
};
}  // namespace

std::unique_ptr<TokenKind> make_opensc() {
    return std::make_unique<OpenSc>();
}

}  // namespace ctlsign::testing::contract
