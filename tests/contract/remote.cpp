#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <softhsm-profiles/softhsm_module.hpp>
#include <tests/contract/token_kind.hpp>
#include <tests/support/child_process.hpp>
#include <tests/support/soft_tokens.hpp>

namespace ctlsign::testing::contract {

namespace {

// The socket is there before anybody listens, and a client that is refused shows no tokens for ever.
bool listens(const std::string& path) {
    const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const bool accepted =
        connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(connection);
    return accepted;
}

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
        for (int i = 0; !listens(socket_); ++i) {
            if (i == 3000) throw std::runtime_error("p11-kit server does not start");
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
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
