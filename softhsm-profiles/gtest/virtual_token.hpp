#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <softhsm-profiles/fault.hpp>
#include <softhsm-profiles/profile.hpp>
#include <softhsm-profiles/virtual_folder.hpp>
#include <softhsm-profiles/virtual_plug.hpp>

namespace ctlsign::testing {

/// A virtual token for a test: made and plugged in, gone with the object. All of a process are in one folder,
/// which CTLSIGN_VIRTUAL_TOKENS names as long as one lives. Not for two threads at once. Throws Error.
class VirtualToken {
  public:
    /// PROFILE is the name of one that is shipped, or the path of a file.
    explicit VirtualToken(const std::string& profile, const std::string& name = {},
                          const softhsm::Key& key = {})
        : VirtualToken(softhsm::load_profile(profile), name, key) {}
    explicit VirtualToken(softhsm::Profile profile, const std::string& name = {},
                          const softhsm::Key& key = {})
        : folder_(Folder::shared()), profile_(std::move(profile)) {
        token_ = softhsm::create_virtual_token(
            folder_->path, name.empty() ? "virtual-" + std::to_string(++folder_->tokens) : name, profile_,
            key);
    }

    /// What a program loads: the path of libctlsign-virtual-token.so.
    static std::string module() {
#ifdef CTLSIGN_VIRTUAL_TOKEN_MODULE
        return CTLSIGN_VIRTUAL_TOKEN_MODULE;
#else
        return softhsm::virtual_environment(softhsm::virtual_tokens_folder()).at(1).second;
#endif
    }

    const std::string& name() const {
        return token_.name;
    }
    const std::string& label() const {
        return token_.label;
    }
    const std::string& serial() const {
        return token_.serial;
    }
    const std::string& pin() const {
        return profile_.pin.user;
    }
    const std::string& security_officer_pin() const {
        return profile_.pin.security_officer;
    }
    const softhsm::Profile& profile() const {
        return profile_;
    }
    /// tokens/NAME of the folder: certificate.pem, user-pin, pin-tries.
    const std::filesystem::path& folder() const {
        return token_.folder;
    }
    const std::filesystem::path& certificate_file() const {
        return token_.certificate_file;
    }

    void plug(std::optional<unsigned> reader = std::nullopt) {
        softhsm::plug_virtual_token(folder_->path, name(), reader);
    }
    void unplug() {
        softhsm::unplug_virtual_token(folder_->path, name());
    }
    /// Waits until the objects can be seen.
    void settle() const {
        std::this_thread::sleep_for(profile_.behaviour.settle);
    }
    /// Adds a line to the fault script, "on C_Sign #3 return CKR_DEVICE_ERROR".
    void fault(const std::string& line) {
        softhsm::add_fault(folder_->path, softhsm::decode_fault(line));
    }

  private:
    struct Folder {
        Folder() {
            std::string pattern = (std::filesystem::temp_directory_path() / "virtual-tokens-XXXXXX").string();
            if (mkdtemp(pattern.data()) == nullptr)
                throw std::filesystem::filesystem_error("mkdtemp", pattern,
                                                        std::error_code(errno, std::generic_category()));
            path = pattern;
            setenv("CTLSIGN_VIRTUAL_TOKENS", pattern.c_str(), 1);
        }
        ~Folder() {
            unsetenv("CTLSIGN_VIRTUAL_TOKENS");
            std::error_code ignored;
            std::filesystem::remove_all(path, ignored);
        }
        Folder(const Folder&) = delete;
        Folder& operator=(const Folder&) = delete;
        static std::shared_ptr<Folder> shared() {
            static std::weak_ptr<Folder> known;
            auto folder = known.lock();
            if (!folder) known = folder = std::make_shared<Folder>();
            return folder;
        }
        std::filesystem::path path;
        unsigned tokens = 0;
    };

    std::shared_ptr<Folder> folder_;
    softhsm::Profile profile_;
    softhsm::VirtualToken token_;
};

}  // namespace ctlsign::testing
