#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <tests/contract/listener.hpp>
#include <tests/contract/token_kind.hpp>
#include <tests/support/child_process.hpp>
#include <tests/support/temporary_folder.hpp>
#include <tests/support/text_file.hpp>

namespace ctlsign::testing::contract {

namespace {
/// tpm2-pkcs11 with a TPM of software, swtpm. No key can be put into it: it makes one.
class Tpm final : public TokenKind {
  public:
    sast::Certificate certificate() const override {
        return sast::Certificate::decode_pem(load_text(certificate_file_)).at(0);
    }
    void provision() override {
        for (const auto& folder : {state_, store_}) std::filesystem::create_directory(folder);
        setenv("TPM2_PKCS11_STORE", store_.c_str(), 1);
        setenv("TPM2_PKCS11_BACKEND", "esysdb", 1);
        setenv("TPM2_PKCS11_TCTI", ("swtpm:path=" + socket_.string()).c_str(), 1);
        setenv("TSS2_LOG", "all+none", 1);
        start_tpm();
        tool({"--init-token", "--slot-index", "0", "--label", "A", "--so-pin", kSoPin});
        tool({"--init-pin", "--token-label", "A", "--so-pin", kSoPin, "--pin", pin()});
        setenv("TPM_PIN", pin().c_str(), 1);
        run({CTLSIGN_PROGRAM, "token", "provision", "--module", module_path(), "--token", "A", "--subject",
             "CN=A", "--pin-source", "env:TPM_PIN"});
        run({CTLSIGN_PROGRAM, "token", "export-certificate", "--module", module_path(), "A", "--output",
             certificate_file_});
    }
    std::string module_path() const override { return "libtpm2_pkcs11.so"; }
    std::string pin() const override { return "test-pin"; }
    void restart_daemon() override {
        tpm_->kill_all();
        start_tpm();
    }

  private:
    static constexpr const char* kSoPin = "test-so-pin";

    void start_tpm() {
        std::filesystem::remove(socket_);
        tpm_.emplace(std::vector<std::string>{
            "swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + state_.string(), "--server",
            "type=unixio,path=" + socket_.string(), "--ctrl",
            "type=unixio,path=" + socket_.string() + ".ctrl", "--flags", "not-need-init,startup-clear"});
        wait_for_listener(socket_);
    }
    static void tool(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"pkcs11-tool", "--module", "libtpm2_pkcs11.so.1"});
        run(arguments);
    }

    TemporaryFolder folder_;
    const std::filesystem::path state_ = folder_ / "state", store_ = folder_ / "store",
                                socket_ = folder_ / "socket", certificate_file_ = folder_ / "A.pem";
    std::optional<ChildProcess> tpm_;
};
}  // namespace

std::unique_ptr<TokenKind> make_tpm() {
    return std::make_unique<Tpm>();
}

}  // namespace ctlsign::testing::contract
