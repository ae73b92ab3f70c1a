#pragma once

#include <p11-kit/pkcs11.h>
#include <sys/types.h>

#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <softhsm-profiles/module/folder_watch.hpp>
#include <softhsm-profiles/module/token.hpp>

namespace ctlsign::virtual_token {

/// What the link of a reader says. Another link to the same token is another plug.
struct Plug {
    std::string token;
    ino_t inode = 0;
    std::chrono::nanoseconds changed{0};  ///< since the epoch

    bool operator==(const Plug&) const = default;
};

struct Reader {
    CK_SLOT_ID slot = 0;
    std::optional<Plug> plug;
    std::shared_ptr<Token> token;  ///< null when the reader is empty or what is in it is no token
    bool used = false;             ///< something was in it since C_Initialize
};

/// The readers of a folder and what is in them, as last looked at. Not for two threads at once.
class Readers {
  public:
    Readers(std::filesystem::path folder, SoftHsmPool& pool);

    /// Tokens that were pulled are marked so and moved to PULLED.
    void look(const FolderChanges& changes, std::vector<std::shared_ptr<Token>>& pulled);

    const std::map<unsigned, Reader>& all() const noexcept { return readers_; }
    /// Null when there is no such slot.
    const Reader* find(CK_SLOT_ID slot) const;
    std::optional<CK_SLOT_ID> find_slot(const Token& token) const;
    /// A slot in which something was plugged or pulled; each is told once.
    std::optional<CK_SLOT_ID> take_event();
    /// The version of Cryptoki that the profiles agree on: the lowest.
    CK_VERSION cryptoki_version() const noexcept { return version_; }

  private:
    void add(unsigned number);
    void add_readers();
    void look_at(unsigned number, Reader& reader, const FolderChanges& changes,
                 std::vector<std::shared_ptr<Token>>& pulled);
    void plug(Reader& reader, Plug plug);
    void learn(const softhsm::Profile& profile);
    void add_event(CK_SLOT_ID slot);

    std::filesystem::path folder_;
    SoftHsmPool& pool_;
    std::map<unsigned, Reader> readers_;
    std::deque<CK_SLOT_ID> events_;
    unsigned slots_ = 0;  // that the vendor's module has, whether or not there are as many readers
    CK_VERSION version_{2, 40};
    bool spurious_first_event_ = false;  // as OpenSC 0.23
};

}  // namespace ctlsign::virtual_token
