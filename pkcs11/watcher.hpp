#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include <pkcs11/module.hpp>
#include <pkcs11/token.hpp>

namespace ctlsign::pkcs11 {

/// Tells of tokens that arrive and leave, known by manufacturer, serial and label, in whichever slot. Learns
/// of them from pcscd's readers, the modules' slot events and looks of its own, together, on one thread. In a
/// forked child there is no such thread: the child's copy tells nothing and is destroyed quietly.
class Watcher {
  public:
    enum class Change { Arrived, Left };
    struct Event {
        Change change{};
        Token token;
    };
    /// Called on the watcher's thread, under no lock. Must not throw, nor destroy the watcher.
    using Callback = std::function<void(const Event&)>;

    /// What is plugged in at first is told as arrived. A token that was out and in again between two looks is
    /// told as left and arrived where that can be known. A token that two of the modules show is told once.
    /// STOP ends it as the destructor does.
    Watcher(std::vector<std::shared_ptr<Module>> modules, Callback callback, std::stop_token stop = {});
    /// Ends the thread and waits for it: no callback after this. A thread that a module holds for longer than
    /// two seconds is left to it.
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

  private:
    class Worker;
    std::shared_ptr<Worker> worker_;
    pid_t process_;
    std::unique_ptr<std::thread> thread_;
};

/// Waits until a token of MODULES is plugged in for which WANTED, called on another thread, is true. Nothing
/// when DEADLINE is over or STOP was requested.
std::optional<Token> wait_for_token(std::vector<std::shared_ptr<Module>> modules,
                                    const std::function<bool(const Token&)>& wanted,
                                    std::chrono::steady_clock::time_point deadline,
                                    std::stop_token stop = {});

}  // namespace ctlsign::pkcs11
