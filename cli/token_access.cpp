#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <openssl/ui.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <cli/exit_code.hpp>
#include <cli/terminal.hpp>
#include <cli/token_access.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>

namespace ctlsign::cli {

namespace {

// The terminal with its echo off from before the prompt, so that what is typed early is not shown either.
// OpenSSL's own reading turns it off only behind the prompt, and would read standard input, which may be a
// trust list, without a terminal.
class SilentTerminal {
  public:
    explicit SilentTerminal(const std::string& subject)
        : descriptor_(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        if (descriptor_ < 0 || tcgetattr(descriptor_, &before_) != 0) {
            if (descriptor_ >= 0) close(descriptor_);
            throw Error(sast::Errc::PinNeeded, "asking for the PIN", subject,
                        "there is no terminal to ask on; use --pin-source env:NAME, file:PATH or fd:N");
        }
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(descriptor_, TCSAFLUSH, &silent);
    }
    ~SilentTerminal() {
        tcsetattr(descriptor_, TCSAFLUSH, &before_);
        close(descriptor_);
    }
    SilentTerminal(const SilentTerminal&) = delete;
    SilentTerminal& operator=(const SilentTerminal&) = delete;

  private:
    int descriptor_;
    termios before_{};
};

// Asks on the terminal, without echo.
class Prompt final : public sast::PinSource {
  public:
    pkcs11::Pin ask(const sast::PinRequest& request) override {
        const SilentTerminal terminal(request.subject);
        const bool passphrase = request.kind == sast::PinRequest::Kind::Passphrase;
        const std::string state = request.state == pkcs11::PinState::Good
                                      ? std::string()
                                      : fmt::format(" ({})", to_text(request.state));
        const std::string prompt =
            fmt::format("{} of {}{}: ", passphrase ? "Passphrase" : "PIN", request.subject, state);
        std::array<char, pkcs11::Pin::kMaxSize + 1> buffer{};
        const int failed =
            UI_UTIL_read_pw_string(buffer.data(), static_cast<int>(buffer.size()), prompt.c_str(), 0);
        pkcs11::Pin pin;
        if (failed == 0) pin = pkcs11::Pin::take({buffer.data(), std::strlen(buffer.data())});
        pkcs11::wipe_memory(buffer);
        if (pin.empty())
            throw Error(sast::Errc::PinNeeded, "asking for the PIN", request.subject, "nothing was entered");
        return pin;
    }
    void look_at_reader(const sast::PinRequest& request) override {
        print_note(fmt::format("{}: enter the PIN at the reader", request.subject));
    }
    void require_source(const sast::PinRequest& request) override {
        const SilentTerminal terminal(request.subject);
    }
};

constexpr std::string_view kPrompt = "prompt";

std::string find_pin_source(const TokenOptions& options, const std::optional<pkcs11::Uri>& uri) {
    if (options.pin_source) return *options.pin_source;
    return uri ? uri->pin_source().value_or(std::string(kPrompt)) : std::string(kPrompt);
}

}  // namespace

void add_module_option(Command command, TokenOptions& options) {
    command
        .add_option("--module", options.module,
                    "PKCS#11 module, or '|COMMAND' that serves one, such as '|ssh host p11-kit remote PATH'; "
                    "default: "
                    "CTLSIGN_MODULE, else what p11-kit has configured")
        .type_name("PATH");
    command.add_flag_callback(
        "--isolate", [&options] { options.isolation = pkcs11::Module::Isolation{}; },
        "Run modules in processes of their own, so that one that hangs or crashes costs no more than an "
        "error");
}

void add_token_options(Command command, TokenOptions& options) {
    add_module_option(command, options);
    command
        .add_option("--pin-source", options.pin_source,
                    "Where the PIN comes from: prompt, env:NAME, file:PATH or fd:N; default: prompt")
        .type_name("SOURCE");
    command.add_option("--wait", options.wait, "Seconds to wait for a token that was pulled to come back")
        .type_name("SECONDS")
        .within(0, 86400);
    command.add_flag_callback(
        "--use-final-try", [&options] { options.final_try = pkcs11::FinalTry::Spend; },
        "Spend the last try before the token locks");
}

std::optional<std::string> find_module(const TokenOptions& options) {
    if (options.module) return options.module;
    const char* path = std::getenv("CTLSIGN_MODULE");
    if (path == nullptr || *path == '\0') return std::nullopt;
    if (*path == '|')
        throw UsageError("CTLSIGN_MODULE names a command: one is taken from the option --module alone");
    return path;
}

Plugged find_tokens(const TokenOptions& options, const std::optional<pkcs11::Uri>& uri) {
    std::vector<pkcs11::Module::Failure> failures;
    Plugged plugged;
    plugged.modules = sast::open_modules(find_module(options), uri, options.isolation, failures);
    for (const auto& failure : failures) print_warning(fmt::format("module left out: {}", failure.reason));
    plugged.tokens = sast::list_tokens(plugged.modules);
    return plugged;
}

pkcs11::Token find_token(const TokenOptions& options, const std::string& text) {
    const auto name = sast::TokenName::parse(text);
    return sast::choose_token(find_tokens(options, name.uri()).tokens, name);
}

Bytes make_test_message() {
    Bytes message(64);
    if (RAND_bytes(message.data(), static_cast<int>(message.size())) != 1) fail_openssl("RAND_bytes", "");
    return message;
}

sast::TokenPolicy make_policy(const TokenOptions& options) {
    sast::TokenPolicy policy;
    policy.final_try = options.final_try;
    policy.wait = std::chrono::seconds(options.wait);
    policy.on_wait = [wait = options.wait](const pkcs11::Token& token) {
        print_note(fmt::format("{} is gone: put it back within {} s", token.text(), wait));
    };
    return policy;
}

bool asks_a_person(const TokenOptions& options, const std::optional<pkcs11::Uri>& uri) {
    return find_pin_source(options, uri) == kPrompt;
}

std::unique_ptr<sast::PinSource> make_pins(const TokenOptions& options,
                                           const std::optional<pkcs11::Uri>& uri) {
    const std::string source = find_pin_source(options, uri);
    if (source == kPrompt) return std::make_unique<Prompt>();
    try {
        return sast::make_pin_source(source);
    } catch (const std::invalid_argument& e) {
        throw UsageError(e.what());
    }
}

}  // namespace ctlsign::cli
