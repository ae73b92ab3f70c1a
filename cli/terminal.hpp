#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

namespace ctlsign::cli {

/// Results: standard output. Throws the system's code when it cannot be written (a full disk is no success).
void print(std::string_view text);
/// Everything else, a line each, on standard error.
void print_note(std::string_view line);
void print_warning(std::string_view line);
void print_error(std::string_view line);

enum class Tone { Good, Bad };
/// TEXT in colour where standard output is a terminal and NO_COLOR is not set, else as it stands.
std::string coloured(std::string_view text, Tone tone);

enum class Answer { Ask, Yes };
/// Puts QUESTION, as it stands, to the person at the terminal; anything but yes throws UsageError, as does
/// the lack of a terminal. Answer::Yes answers it, visibly.
void confirm(std::string_view question, Answer answer);

/// A bar on standard error for work that takes longer than a second, where that is a terminal. For several
/// threads.
class Progress {
  public:
    Progress(std::string label, std::size_t total);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void advance();

  private:
    void draw();

    std::string label_;
    std::size_t total_, done_ = 0;
    bool terminal_, drawn_ = false;
    std::chrono::steady_clock::time_point begin_, last_;
    std::mutex mutex_;
};

}  // namespace ctlsign::cli
