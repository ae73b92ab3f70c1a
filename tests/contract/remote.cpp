#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <softhsm-profiles/softhsm_module.hpp>
#include <tests/contract/listener.hpp>
#include <tests/contract/token_kind.hpp>
#include <tests/support/child_process.hpp>
#include <tests/support/soft_tokens.hpp>

namespace ctlsign::testing::contract {

namespace {

/// SoftHSM2 in a process of its own, through p11-kit's remoting.
class Remote final : public TokenKind {
  public:
    void provision() override {
        tokens_.add("A", "plain-softhsm", key_name());
        start_server();
        setenv("P11_KIT_SERVER_ADDRESS", ("unix:path=" + socket_.string()).c_str(), 1);
    }
    std::string module_path() const override { return "p11-kit-client.so"; }
    std::string pin() const override { return tokens_.pin(); }
    void restart_daemon() override {
        server_->kill_all();
        std::filesystem::remove(socket_);
        start_server();
    }

  private:
    void start_server() {
        server_.emplace(std::vector<std::string>{"p11-kit", "server", "--foreground", "--provider",
                                                 softhsm::find_softhsm_module(), "--name", socket_,
                                                 "pkcs11:"});
        wait_for_listener(socket_);
    }

    SoftTokens tokens_;
    const std::filesystem::path socket_ = tokens_.folder() / "p11-kit.socket";
    std::optional<ChildProcess> server_;
};

}  // namespace

std::unique_ptr<TokenKind> make_remote() {
    return std::make_unique<Remote>();
}

}  // namespace ctlsign::testing::contract
