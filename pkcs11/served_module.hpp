#pragma once

// Private, as cryptoki.hpp.
#include <p11-kit/pkcs11.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ctlsign::pkcs11 {

/// A module that another process serves to us on its standard input and output (p11-kit remote), and
/// p11-kit's client that speaks to it. A call that takes longer than the deadline is ended by ending the
/// connection and the process: the call then answers CKR_DEVICE_ERROR, as all later ones do.
class ServedModule {
  public:
    /// COMMAND is the program and its arguments. Nothing is started yet.
    ServedModule(std::vector<std::string> command, std::chrono::milliseconds deadline);
    ~ServedModule();
    ServedModule(const ServedModule&) = delete;
    ServedModule& operator=(const ServedModule&) = delete;

    /// A client of its own, made by p11-kit, that will look for the process where connect() lets it be found.
    /// Throws Errc::ModuleNotLoaded.
    CK_FUNCTION_LIST* load_client();
    /// Starts the process and calls INITIALIZE, which connects to it. Again after a fork: a child has a
    /// process of its own.
    CK_RV connect(const std::function<CK_RV()>& initialize);
    /// The client was finalized: another module may have it.
    void set_finalized() noexcept { initialized_ = false; }

    /// Stands around a call: past the deadline the process is ended.
    class Call {
      public:
        explicit Call(ServedModule* module);
        ~Call();
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;

      private:
        ServedModule* module_;
        unsigned long number_ = 0;
    };

    /// Why a call that answered RV found nobody: "it did not answer within 30 s..."; empty when RV is the
    /// module's own.
    std::string find_fault(CK_RV rv) const;

  private:
    struct Connection;
    struct Client {
        std::filesystem::path folder;  ///< where it looks; there only while it connects
        CK_FUNCTION_LIST* functions = nullptr;
    };
    static std::vector<Client>& idle_clients();
    std::string fault() const;
    std::vector<std::string> command_;
    std::chrono::milliseconds deadline_;
    Client client_;
    bool initialized_ = false;
    // Of this process; a child leaves its parent's, whose locks nobody may hold any more.
    Connection* connection_ = nullptr;
};

}  // namespace ctlsign::pkcs11
