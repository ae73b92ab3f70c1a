#pragma once

#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <pkcs11/module.hpp>
#include <pkcs11/session.hpp>
#include <sast/certificate.hpp>
#include <sast/identity.hpp>
#include <tests/support/certificates.hpp>
#include <tests/support/process_state.hpp>

namespace ctlsign::testing::contract {

/// What a scenario asks of a token beyond signing; a kind that lacks one says why (table.cpp).
enum class Ability {
    SharesItself,  ///< two processes may use it at once
    SharesLogins,  ///< a login in one process leaves the others alone
    CountsTries,   ///< knows a last try, and locks
    CanBePulled,
    HasTwoReaders,
    CanBeApart,  ///< its module runs in a process of its own, too
    HasDaemon,   ///< between the module and the token
};

/// One kind of token with the module that shows it. A cell of the matrix makes one, in a process of its own,
/// and provisions it before anything else.
class TokenKind {
  public:
    TokenKind() = default;
    TokenKind(const TokenKind&) = delete;
    TokenKind& operator=(const TokenKind&) = delete;
    virtual ~TokenKind() = default;

    /// The key and certificate of a token: NAME.key and NAME.pem under tests/data.
    virtual const char* key_name() const { return "krakow/tokens/SAST-ADN008580ef"; }
    virtual const char* other_key_name() const { return "krakow/tokens/SAST-ADN0054f509"; }
    virtual sast::Certificate certificate() const {
        return load_certificate(std::string(key_name()) + ".pem");
    }

    /// Makes the token and puts it in.
    virtual void provision() = 0;
    /// As p11-kit takes it.
    virtual std::string module_path() const = 0;
    virtual std::shared_ptr<pkcs11::Module> open() { return pkcs11::Module::open(module_path()); }
    /// In a process of its own.
    virtual std::shared_ptr<pkcs11::Module> open_served(const pkcs11::Module::Isolation& isolation) {
        return pkcs11::Module::open_isolated(module_path(), isolation);
    }
    /// The same, with the process that hang() and die() are about.
    std::shared_ptr<pkcs11::Module> open_apart(std::chrono::milliseconds deadline) {
        const auto others = children();
        auto module = open_served({deadline});
        for (const pid_t child : children()) {
            if (std::ranges::find(others, child) == others.end()) apart_ = child;
        }
        return module;
    }
    virtual std::string pin() const = 0;
    /// The token among those of the module; any when there is only one.
    virtual std::optional<sast::TokenName> token_name() const { return std::nullopt; }

    virtual void pull() { throw std::logic_error("cannot be pulled"); }
    /// Puts the token into a reader, 0 or 1.
    virtual void insert(unsigned /*reader*/) { throw std::logic_error("cannot be put in"); }
    virtual void insert_other() { throw std::logic_error("has no other token"); }
    virtual void pull_in_signature() { throw std::logic_error("cannot be pulled in a signature"); }
    virtual void hang() { signal_apart(SIGSTOP); }
    virtual void die() { signal_apart(SIGKILL); }
    virtual void restart_daemon() { throw std::logic_error("has no daemon"); }

    /// Of the user PIN, where the token counts them; it is not asked.
    virtual std::optional<pkcs11::PinTries> tries() { return std::nullopt; }

  private:
    void signal_apart(int signal) const {
        if (apart_ <= 0 || kill(apart_, signal) != 0)
            throw std::logic_error("no process of the module's own");
    }
    pid_t apart_ = 0;
};

std::unique_ptr<TokenKind> make_softhsm();
std::unique_ptr<TokenKind> make_opensc();
std::unique_ptr<TokenKind> make_nss();
std::unique_ptr<TokenKind> make_remote();
std::unique_ptr<TokenKind> make_ssh();
std::unique_ptr<TokenKind> make_tpm();
std::unique_ptr<TokenKind> make_opencryptoki();
/// With keys of 1024 bits, or of 2048 where the profile knows no shorter ones.
std::unique_ptr<TokenKind> make_virtual(const char* profile);

/// A column of the matrix.
struct Column {
    const char* name;
    std::unique_ptr<TokenKind> (*make)();
    std::map<Ability, const char*> lacks;  ///< and why
    bool long_run = false;                 ///< it needs what only the long run installs
};

/// A row of the matrix: the scenario fails by an exception.
struct Row {
    const char* name;
    void (*scenario)(TokenKind&);
    std::vector<Ability> needs;
    bool locks = false;  ///< the token; every other row must leave it all its tries
};

const std::vector<Column>& columns();
const std::vector<Row>& rows();

}  // namespace ctlsign::testing::contract
