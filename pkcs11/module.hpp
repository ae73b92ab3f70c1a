#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <pkcs11/limits.hpp>
#include <pkcs11/slot.hpp>

namespace ctlsign::pkcs11 {

class Token;
struct ModuleQuirks;
struct TokenInfo;

/// A PKCS#11 module of this process: loaded by p11-kit, initialised by us, shared by everybody who opens it.
/// Sessions hold it. When its last user goes it is finalized, unless somebody else initialised it. After a
/// fork the child initialises it anew at its next use and never finalizes what the parent made.
class Module : public std::enable_shared_from_this<Module> {
  public:
    enum class Finalize { WhenLastUserGoes, Never };
    enum class Slots { All, WithToken };

    struct Options {
        Finalize finalize = Finalize::WhenLastUserGoes;
        /// The string that NSS softokn and its like want at C_Initialize (pReserved; in p11-kit's
        /// configuration x-init-reserved, which it takes the place of).
        std::string init_reserved;
    };
    /// The module in file PATH (absolute, or a name in p11-kit's module folder). Opening it twice gives the
    /// same object, as the first opened it. Throws Errc::ModuleNotLoaded, or the CK_RV of C_Initialize.
    static std::shared_ptr<Module> open(const std::string& path, const Options& options);
    /// The same with Options as they are by themselves.
    static std::shared_ptr<Module> open(const std::string& path);

    /// A process of its own for a module, through p11-kit's remoting: one that hangs or crashes costs an
    /// error (Errc::ModuleEnded) and no more. After that it answers no more until all its users are gone.
    struct Isolation {
        std::chrono::milliseconds deadline =
            limits::kIsolatedCall;  ///< of one call; a key pair may take a token minutes
    };
    /// The module in file PATH, run by p11-kit. Opening it twice gives the same object. Throws
    /// Errc::ModuleNotLoaded, Errc::ModuleEnded, or the CK_RV of C_Initialize.
    static std::shared_ptr<Module> open_isolated(const std::string& path, const Isolation& isolation);
    /// The module that COMMAND, run by the shell, serves on its standard input and output: "ssh host p11-kit
    /// remote /usr/lib/libeTPkcs11.so".
    static std::shared_ptr<Module> open_command(const std::string& command, const Isolation& isolation);

    /// A configured module that did not start, and why.
    struct Failure {
        std::string path;
        std::string reason;
    };
    /// Every module of p11-kit's configuration that starts, but for those of trust policy, which hold no
    /// keys; those that do not start are added to FAILURES.
    static std::vector<std::shared_ptr<Module>> open_configured(
        std::vector<Failure>& failures, const std::optional<Isolation>& isolation = std::nullopt);

    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    /// As it was asked for; the command of one that open_command() opened, p11-kit's name of a configured
    /// one.
    const std::string& path() const noexcept;

    /// CK_INFO (PKCS#11 2.40, 3.1).
    struct Info {
        std::string manufacturer, description;
        unsigned cryptoki_major = 0, cryptoki_minor = 0, library_major = 0, library_minor = 0;
    };
    /// C_GetInfo, texts without their padding. Throws CK_RV.
    Info info() const;
    /// What QuirkTable::of_process() says of it.
    ModuleQuirks quirks() const;

    /// Asks C_GetSlotList with a null list first, so that readers plugged in since are seen. Throws CK_RV.
    std::vector<SlotInfo> slots(Slots which) const;
    /// The token in SLOT, nothing when it is empty or its token cannot be read. Throws CK_RV.
    std::optional<TokenInfo> find_token_info(SlotId slot) const;
    /// C_WaitForSlotEvent without waiting: a slot where something happened, or nothing. Throws CK_RV.
    std::optional<SlotId> poll_slot_event() const;
    /// Every token plugged in, initialised, and able to say who it is.
    std::vector<Token> tokens() const;

    /// The module's CK_FUNCTION_LIST, for a library that speaks PKCS#11 itself, within NativeCalls. It must
    /// not finalize.
    void* native_function_list() const noexcept;

    struct State;
    /// For the sources of this folder.
    State& state() const;

  private:
    explicit Module(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Stands around what a thread does with native_function_list(). All of that together has the time that an
/// isolated module has for one call (past it, calls answer CKR_DEVICE_ERROR), and the SIGPIPE of a
/// connection that the module lost does not end the program.
class NativeCalls {
  public:
    explicit NativeCalls(const Module& module);
    ~NativeCalls();
    NativeCalls(const NativeCalls&) = delete;
    NativeCalls& operator=(const NativeCalls&) = delete;

  private:
    struct Guards;
    std::unique_ptr<Guards> guards_;
};

}  // namespace ctlsign::pkcs11
