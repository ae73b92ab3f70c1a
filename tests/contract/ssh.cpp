#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
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
/// SoftHSM2 on another machine: through ssh, and a sshd of its own.
class Ssh final : public TokenKind {
  public:
    void provision() override {
        tokens_.add("A", "plain-softhsm", key_name());
        for (const char* key : {"host", "user"})
            run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file(key)});
        std::filesystem::create_directories("/run/sshd");
        std::ofstream(file("sshd_config"))
            << "ListenAddress 127.0.0.1:2222\nHostKey " << file("host") << "\nAuthorizedKeysFile "
            << file("user.pub") << "\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n";
        std::ofstream(file("config"))
            << "Host token-host\nHostName 127.0.0.1\nPort 2222\nBatchMode yes\nLogLevel ERROR\nIdentityFile "
            << file("user") << "\nUserKnownHostsFile " << file("known_hosts")
            << "\nStrictHostKeyChecking accept-new\n";
        start_daemon();
    }
    std::string module_path() const override { return softhsm::find_softhsm_module(); }
    std::shared_ptr<pkcs11::Module> open() override { return open_served({}); }
    std::shared_ptr<pkcs11::Module> open_served(const pkcs11::Module::Isolation& isolation) override {
        return pkcs11::Module::open_command("exec ssh -F " + file("config") +
                                                " token-host SOFTHSM2_CONF=" + std::getenv("SOFTHSM2_CONF") +
                                                " p11-kit remote " + module_path(),
                                            isolation);
    }
    std::string pin() const override { return tokens_.pin(); }
    void restart_daemon() override {
        // Its connections outlive it.
        for (const pid_t connection : children_of(daemon_->process())) kill(connection, SIGKILL);
        daemon_->kill_all();
        start_daemon();
    }

  private:
    std::string file(const char* name) const { return tokens_.folder() / name; }
    void start_daemon() {
        daemon_.emplace(
            std::vector<std::string>{"/usr/sbin/sshd", "-D", "-f", file("sshd_config"), "-E", file("log")});
        for (int i = 0; ChildProcess({"ssh", "-F", file("config"), "token-host", "true"}).wait() != 0; ++i) {
            if (i == 300) throw std::runtime_error("sshd does not start");
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }

    SoftTokens tokens_;
    std::optional<ChildProcess> daemon_;
};
}  // namespace

std::unique_ptr<TokenKind> make_ssh() {
    return std::make_unique<Ssh>();
}

}  // namespace ctlsign::testing::contract
