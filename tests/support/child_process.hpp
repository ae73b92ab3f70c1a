#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace ctlsign::testing {

/// A program that runs beside the test, in a process group of its own, and ends with it at the latest.
class ChildProcess {
  public:
    explicit ChildProcess(const std::vector<std::string>& command) {
        std::vector<char*> arguments;
        for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        prctl(PR_SET_CHILD_SUBREAPER, 1);  // what it leaves behind is ours to wait for
        process_ = fork();
        if (process_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (process_ == 0) {
            setpgid(0, 0);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execvp(arguments[0], arguments.data());
            _exit(127);
        }
        setpgid(process_, process_);  // by whoever comes first
    }
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    ~ChildProcess() { kill_all(); }

    pid_t process() const noexcept { return process_; }

    /// Its wait status, when it has ended by itself.
    int wait() {
        int status = -1;
        waitpid(std::exchange(process_, -1), &status, 0);
        return status;
    }
    /// SIGKILL to it and to what it started; returns when all are gone.
    void kill_all() {
        if (process_ <= 0) return;
        kill(-process_, SIGKILL);
        while (waitpid(-process_, nullptr, 0) > 0) {
        }
        process_ = -1;
    }

  private:
    pid_t process_ = -1;
};

/// Runs a program to its end; throws unless that is good.
inline void run(const std::vector<std::string>& command) {
    if (const int status = ChildProcess(command).wait(); status != 0)
        throw std::runtime_error(command.at(0) + " ended with wait status " + std::to_string(status));
}

}  // namespace ctlsign::testing
