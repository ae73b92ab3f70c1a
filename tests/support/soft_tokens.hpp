#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <pkcs11/module.hpp>
#include <pkcs11/token.hpp>
#include <sast/error.hpp>
#include <softhsm-profiles/profile.hpp>
#include <softhsm-profiles/provision.hpp>
#include <softhsm-profiles/softhsm_module.hpp>
#include <tests/support/certificates.hpp>
#include <tests/support/counting_pins.hpp>
#include <tests/support/data.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::testing {

/// Lets every token of FOLDER offer these mechanisms only (names, CKM_...). SoftHSM2 reads it at
/// C_Initialize; the last line of a name counts.
inline void restrict_mechanisms(const std::filesystem::path& folder,
                                const std::vector<std::string>& mechanisms) {
    std::ofstream configuration(folder / "softhsm2.conf", std::ios::app);
    const char* before = "slots.mechanisms = ";
    for (const std::string& name : mechanisms) configuration << std::exchange(before, ",") << name;
    configuration << '\n';
}

/// SoftHSM2 tokens in a folder of the test's own. Add tokens, then open(). One per process: gtest runs each
/// test in its own.
class SoftTokens {
  public:
    /// A token that holds the key and certificate of tests/data/STEM.key and .pem.
    softhsm::Provisioned add(const std::string& name, const std::string& profile_name,
                             const std::string& stem,
                             softhsm::CertificateObject certificate = softhsm::CertificateObject::Stored) {
        const auto profile = softhsm::load_profile(profile_name);
        pin_ = profile.pin.user;
        softhsm::Key key;
        key.pem = read_text(stem + ".key");
        key.certificate = load_certificate(stem + ".pem");
        key.certificate_object = certificate;
        auto made = softhsm::provision_token(folder_.path(), name, profile, {&key, 1});
        setenv("SOFTHSM2_CONF", made.configuration.c_str(), 1);
        return made;
    }
    void offer_only(const std::vector<std::string>& mechanisms) {
        restrict_mechanisms(folder_.path(), mechanisms);
    }

    std::shared_ptr<pkcs11::Module> open() const {
        return pkcs11::Module::open(softhsm::find_softhsm_module());
    }
    const std::string& pin() const { return pin_; }
    const TemporaryFolder& folder() const { return folder_; }

  private:
    TemporaryFolder folder_;
    std::string pin_;
};

}  // namespace ctlsign::testing
