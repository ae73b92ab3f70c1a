#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <cli/command.hpp>
#include <cli/exit_code.hpp>
#include <cli/terminal.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/file.hpp>

namespace ctlsign::cli {

namespace {

bool colours(int descriptor) noexcept {
    const char* none = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    return ::isatty(descriptor) == 1 && (none == nullptr || *none == '\0') &&
           (terminal == nullptr || std::string_view(terminal) != "dumb");
}

void print_line(std::string_view colour, std::string_view word, std::string_view line) {
    const bool coloured_word = !colour.empty() && colours(STDERR_FILENO);
    std::string text = fmt::format("{}: ", program_name());
    if (coloured_word) text += colour;
    text += word;
    if (coloured_word) text += "\033[0m";
    text += line;
    text += '\n';
    // Nothing is left to say it with when standard error is gone.
    static_cast<void>(write_all(STDERR_FILENO, as_bytes(text)));
}

}  // namespace

void print(std::string_view text) {
    if (write_all(STDOUT_FILENO, as_bytes(text))) return;
    const int error = errno;
    if (error == EPIPE) {
        // The reader has seen enough: end as every filter does.
        std::signal(SIGPIPE, SIG_DFL);
        std::raise(SIGPIPE);
    }
    throw Error(std::error_code(error, std::system_category()), "write", "standard output", "");
}

void print_note(std::string_view line) {
    print_line({}, {}, line);
}

void print_warning(std::string_view line) {
    print_line("\033[33m", "warning: ", line);
}

void print_error(std::string_view line) {
    print_line("\033[31m", "error: ", line);
}

std::string coloured(std::string_view text, Tone tone) {
    if (!colours(STDOUT_FILENO)) return std::string(text);
    return fmt::format("{}{}\033[0m", tone == Tone::Good ? "\033[32m" : "\033[31m", text);
}

void confirm(std::string_view question, Answer answer) {
    if (answer == Answer::Yes) {
        static_cast<void>(write_all(STDERR_FILENO, as_bytes(fmt::format("{} y\n", question))));
        return;
    }
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) {
        std::string line(question);
        std::ranges::replace(line, '\n', ' ');
        throw UsageError(fmt::format("{} there is no terminal to answer; --yes says yes", line));
    }
    write_all(STDERR_FILENO, as_bytes(fmt::format("{} ", question)));
    constexpr std::size_t kLongest = std::string_view("yes").size();
    std::string line;
    for (char c = 0; ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n';)
        if (line.size() <= kLongest) line += c;
    if (line != "y" && line != "Y" && line != "yes") throw UsageError("not confirmed: nothing was done");
}

Progress::Progress(std::string label, std::size_t total)
    : label_(std::move(label)),
      total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      begin_(std::chrono::steady_clock::now()),
      last_(begin_) {}

Progress::~Progress() {
    if (drawn_) write_all(STDERR_FILENO, as_bytes("\r\033[K"));
}

void Progress::advance() {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (!terminal_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - begin_ < std::chrono::seconds(1) || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    draw();
}

void Progress::draw() {
    winsize size{};
    const std::size_t columns =
        ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    const std::string counts = fmt::format("{} {}/{} ", label_, done_, total_);
    std::string bar;
    if (columns > counts.size() + 10) {
        const std::size_t width = columns - counts.size() - 3;
        const std::size_t full = total_ == 0 ? width : width * done_ / total_;
        bar = fmt::format("[{}{}]", std::string(full, '#'), std::string(width - full, ' '));
    }
    write_all(STDERR_FILENO, as_bytes(fmt::format("\r{}{}\033[K", counts, bar)));
    drawn_ = true;
}

}  // namespace ctlsign::cli
