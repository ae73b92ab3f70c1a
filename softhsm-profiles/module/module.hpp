#pragma once

#include <p11-kit/pkcs11.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <pkcs11/descriptor.hpp>
#include <softhsm-profiles/module/call_log.hpp>
#include <softhsm-profiles/module/fault_script.hpp>
#include <softhsm-profiles/module/folder_watch.hpp>
#include <softhsm-profiles/module/readers.hpp>
#include <softhsm-profiles/module/softhsm_pool.hpp>

namespace ctlsign::virtual_token {

/// A session of the program with a token. Its own number is never given out twice.
struct Session {
    std::shared_ptr<Token> token;
    CK_SESSION_HANDLE inner = CK_INVALID_HANDLE;  ///< what the token's SoftHSM2 calls it
    std::atomic<bool> finds_nothing = false;      ///< its search began before the token had settled
    std::atomic<bool> finds_counter = false;      ///< its search matches the vendor's counter object
};

/// What C_Initialize makes and C_Finalize ends: the readers, the sessions, and the thread that watches the
/// folder. No lock is held while a token works.
class Module {
  public:
    /// The one of this process, or null. A forked child has none until it calls C_Initialize.
    static Module* find() noexcept;
    static Module& get();

    CK_RV initialize(const CK_C_INITIALIZE_ARGS* arguments);
    CK_RV finalize();

    /// Takes in what happened in the folder. Throws nothing; false when the module is not initialised.
    bool notice();

    CallLog& log() noexcept { return log_; }
    FaultScript& faults() noexcept { return faults_; }
    SoftHsmPool& pool() noexcept { return pool_; }
    /// Plugs or unplugs as FAULT says.
    void fire(const softhsm::Fault& fault);

    /// Every slot, or those with a token; REFRESH lets new ones in.
    enum class Refresh { No, Yes };
    std::vector<CK_SLOT_ID> list_slots(bool with_token, Refresh refresh);
    CK_VERSION cryptoki_version();
    /// A copy, null when there is no such slot.
    std::optional<Reader> find_reader(CK_SLOT_ID slot);
    std::optional<CK_SLOT_ID> find_slot(const Token& token);
    enum class Wait { No, Yes };
    CK_RV next_event(Wait wait, CK_SLOT_ID& slot);

    /// The session's number; CK_INVALID_HANDLE when the token has gone meanwhile.
    CK_SESSION_HANDLE add_session(std::shared_ptr<Token> token, CK_SESSION_HANDLE inner);
    std::shared_ptr<Session> find_session(CK_SESSION_HANDLE handle);
    void remove_session(CK_SESSION_HANDLE handle);
    void remove_sessions(const Token& token);

    /// Waits; false when TOKEN (if any) was pulled or the module finalized in the meantime.
    bool pause(std::chrono::milliseconds duration, const Token* token);

  private:
    explicit Module(pid_t process);

    using Sessions = std::map<CK_SESSION_HANDLE, std::shared_ptr<Session>>;
    /// Tokens and sessions that are over, kept until no lock is held: the last one out finalizes a SoftHSM2.
    struct Graveyard {
        std::vector<std::shared_ptr<Token>> tokens;
        std::vector<std::shared_ptr<Session>> sessions;
    };

    void look(const FolderChanges& changes, Graveyard& graveyard);
    void end_sessions(Graveyard& graveyard, const auto& ends);
    void watch();
    void wake_watcher() const noexcept;

    pid_t process_;
    SoftHsmPool pool_;
    CallLog log_;
    FaultScript faults_;

    std::mutex lifecycle_;  // of C_Initialize and C_Finalize
    std::thread watcher_;
    Descriptor wake_;

    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    bool initialized_ = false;
    std::filesystem::path folder_;
    std::unique_ptr<FolderWatch> watch_;
    std::unique_ptr<Readers> readers_;
    std::vector<CK_SLOT_ID> listed_;  // as of the last query with a null list
    Sessions sessions_;
    CK_SESSION_HANDLE last_session_ = 0;
};

}  // namespace ctlsign::virtual_token
