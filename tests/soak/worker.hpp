#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include <pkcs11/module.hpp>
#include <sast/public_key.hpp>
#include <sast/token_signer.hpp>
#include <tests/soak/record.hpp>
#include <tests/support/counting_pins.hpp>

namespace ctlsign::testing::soak {

/// The token that somebody has chosen.
struct Chosen {
    std::string serial, pin;
    std::filesystem::path certificate_file;
    bool shared = false;  ///< with somebody who has wrong PINs, and is killed in logins
};

/// Signs with one token for as long as it is let, whatever happens to the token, and checks each signature,
/// each error and each PIN asked for.
class Worker {
  public:
    using Open = std::function<std::shared_ptr<pkcs11::Module>()>;
    Worker(std::string name, Open open, const Chosen& token, const Record& record,
           std::mt19937::result_type seed);

    void run(const std::atomic<bool>& stop);
    /// Once nobody disturbs it any more: the token has all its tries but those that this worker is not to
    /// blame for, and signs.
    void expect_whole();
    /// With a PIN that is wrong: no signature.
    void try_wrong_pin();

    const std::string& name() const { return name_; }
    std::chrono::milliseconds longest_call() const { return longest_; }

  private:
    void open();
    void close();
    void sign();
    void check_asks();
    void check_tries();
    bool attempt(const std::function<void()>& call);

    std::string name_;
    Open open_;
    std::string serial_;
    sast::PublicKey public_key_;
    const Record& record_;
    std::mt19937 random_;
    CountingPins pins_;
    bool shared_;
    unsigned endings_ = 0;  ///< of modules, maybe in a login: that is a try, until the next one succeeds
    int refused_ = 0;       ///< times that the PIN had to be asked for again
    unsigned long messages_ = 0;
    std::optional<sast::TokenSigner> signer_;
    bool module_ended_ = false;
    std::chrono::milliseconds longest_{0};
};

}  // namespace ctlsign::testing::soak
