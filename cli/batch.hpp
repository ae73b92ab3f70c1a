#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <cli/command.hpp>

namespace ctlsign::cli {

/// Many files by one command: each is worked on by one of several threads, and one that fails does not stop
/// the others.
class Batch {
  public:
    Batch(std::vector<std::string> files, unsigned jobs) : files_(std::move(files)), jobs_(jobs) {}

    /// Calls WORK with the number of each file that has not failed. What it throws is that file's failure.
    /// LABEL stands before the progress bar. May be called again for a next step.
    void run(const std::string& label, const std::function<void(std::size_t)>& work);

    const std::vector<std::string>& files() const noexcept { return files_; }
    std::size_t failed() const noexcept { return failures_.size(); }

    /// DONE says in one line what became of the files that did not fail, and the failures follow, each with
    /// its file, in the order given. The exit code is the highest of theirs, or Done.
    ExitCode report(std::string_view done, Format format) const;

  private:
    struct Failure {
        std::size_t file = 0;
        ExitCode code{};
        std::string line;
    };
    bool has_failed(std::size_t file) const;

    std::vector<std::string> files_;
    unsigned jobs_;
    std::vector<Failure> failures_;  // in the order of the files
    std::mutex mutex_;
};

/// --jobs N.
void add_jobs_option(Command command, unsigned& jobs);

}  // namespace ctlsign::cli
