#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

#include <bindings/openssl/signer_key.hpp>
#include <cli/input.hpp>
#include <cli/phone.hpp>
#include <cli/terminal.hpp>
#include <cli/token_access.hpp>
#include <cli/tvs.hpp>
#include <ctlsign/limits.hpp>
#include <ctlsign/tvs/database.hpp>
#include <ctlsign/tvs/message.hpp>

namespace ctlsign::cli {

namespace {

struct TvsServeOptions {
    std::string key, certificate, database, ctl;
    std::vector<std::string> listen;
    TokenOptions token;
    tvs::TlsPolicy policy;
    tvs::Limits limits;
    unsigned threads = std::max(1U, std::thread::hardware_concurrency());
    unsigned handshake = limits::kTvsHandshake.count(), request = limits::kTvsAnswer.count(),
             idle = limits::kTvsIdle.count();
};

// The key stays on its token, and comes back with it after a pull.
tvs::TlsIdentity open_token_identity(const TvsServeOptions& options) {
    const pkcs11::Uri uri = pkcs11::Uri::parse(options.key);
    tvs::TlsIdentity identity;
    std::optional<sast::Certificate> stand_in;
    if (!options.certificate.empty()) {
        identity.chain = load_certificates(options.certificate);
        stand_in = identity.chain.front();
    }
    const auto token = sast::choose_token(find_tokens(options.token, uri).tokens, uri);
    const auto chosen = sast::choose_identity(token, uri, stand_in);
    if (identity.chain.empty()) identity.chain.push_back(chosen.certificate);
    auto pins = make_pins(options.token, uri);
    auto policy = make_policy(options.token);
    policy.wait = {};  // each handshake would hold a thread as long as the token is away
    auto signer = std::make_unique<sast::TokenSigner>(chosen, *pins, std::move(policy));
    signer->unlock();  // a wrong PIN is better found now than by the first phone
    identity.makes_pss = signer->takes(pkcs11::InputForm::PaddedBlock);
    identity.key = openssl::make_key(std::move(signer), std::move(pins));
    return identity;
}

tvs::TlsIdentity load_file_identity(const TvsServeOptions& options) {
    if (options.certificate.empty()) return load_identity(options.key);
    const KeyInput key = read_key(options.key);
    const ByteView octets = key.content.octets();
    Bytes both = read_input(options.certificate).bytes;
    both.reserve(both.size() + 1 + octets.size());  // once: the key is not left where it was before
    both.push_back('\n');
    both.insert(both.end(), octets.begin(), octets.end());
    const sast::KeyOctets pem(std::move(both));
    return tvs::TlsIdentity::decode(as_text(pem.octets()), key.name);
}

tvs::TlsIdentity open_identity(const TvsServeOptions& options) {
    return pkcs11::Uri::looks_like(options.key) ? open_token_identity(options) : load_file_identity(options);
}

// What tells one state of a file from another without reading it.
class FileStamp {
  public:
    explicit FileStamp(std::string path) : path_(std::move(path)) { changed(); }
    /// Since the last call.
    bool changed() {
        // SQLite may write into a file beside it for as long as somebody has the database open.
        std::error_code failed;
        const auto real = std::filesystem::weakly_canonical(path_, failed);
        const std::array<State, 2> states{state_of(path_),
                                          state_of((failed ? path_ : real.string()) + "-wal")};
        return std::exchange(states_, states) != states;
    }

  private:
    using State = std::tuple<dev_t, ino_t, off_t, time_t, long>;
    static State state_of(const std::string& path) {
        struct stat now {};
        // An empty one holds nothing: whoever only reads makes one, too.
        if (stat(path.c_str(), &now) != 0 || now.st_size == 0) return {};
        return {now.st_dev, now.st_ino, now.st_size, now.st_mtim.tv_sec, now.st_mtim.tv_nsec};
    }

    std::string path_;
    std::array<State, 2> states_{};
};

std::shared_ptr<const tvs::CertificateStore> load_store(const TvsServeOptions& options) {
    tvs::Database database;
    if (!options.database.empty()) database = tvs::Database::load(options.database);
    std::optional<TrustList> ctl;
    if (!options.ctl.empty()) {
        try {
            ctl.emplace(load_list(options.ctl));
        } catch (const Error& error) {
            // A cluster in non-secure mode has none; it is taken as soon as it appears.
            if (error.code() != std::errc::no_such_file_or_directory) throw;
            print_warning(error.what());
        }
        if (ctl && kind_of(*ctl) == phone::ListKind::Itl)
            print_warning(options.ctl +
                          ": its header says that it is an ITL; the CTL of this server is expected");
    }
    for (const std::string& problem : database.problems) print_warning(options.database + ": " + problem);
    auto store = std::make_shared<const tvs::CertificateStore>(database.entries, ctl ? &*ctl : nullptr);
    print_note(fmt::format("serving {} certificates of the database, {} of the CTL", store->database_size(),
                           store->ctl_size()));
    return store;
}

bool has_ipv6() {
    const int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return false;
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    const bool bound = bind(descriptor, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
    close(descriptor);
    return bound;
}

std::vector<tvs::Endpoint> endpoints_of(const TvsServeOptions& options) {
    std::vector<tvs::Endpoint> endpoints;
    for (const std::string& text : options.listen) endpoints.push_back(parse_endpoint(text));
    if (!endpoints.empty()) return endpoints;
    endpoints.push_back({"0.0.0.0"});
    if (has_ipv6()) endpoints.push_back({"::"});
    return endpoints;
}

void allow_connections(const tvs::Limits& limits) {
    constexpr std::size_t kOthers = 256;
    const std::size_t wanted = limits.connections + kOthers, allowed = allow_open_files(wanted);
    if (allowed < wanted)
        print_warning(fmt::format(
            "no more than {} files may be open: fewer connections than --max-connections", allowed));
}

void block_signals(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

pthread_t main_thread;

// A PKCS#11 module may have threads from before SIGINT and SIGTERM were blocked: these hand them on.
extern "C" void hand_on(int signal) {
    pthread_kill(main_thread, signal);
}

// While the service starts, a person may end it: at the question for the PIN, or when a file does not come.
void wait_for_the_end() {
    main_thread = pthread_self();
    block_signals({SIGINT, SIGTERM});
    struct sigaction action {};
    action.sa_handler = hand_on;
    for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

class Service {
  public:
    explicit Service(const TvsServeOptions& options)
        : options_(options), ctl_(options.ctl), database_(options.database), server_(make_server()) {
        for (const tvs::Endpoint& endpoint : server_->endpoints())
            print(fmt::format("listening on {}\n", to_text(endpoint)));
    }

    void look_for_changes() {
        const bool ctl = ctl_.changed();
        if (database_.changed() || ctl || (retry_ && Clock::now() >= *retry_)) reload_store();
    }
    void reload() {
        ctl_.changed();
        database_.changed();
        reload_store();
        attempt([&] {
            if (pkcs11::Uri::looks_like(options_.key) &&
                asks_a_person(options_.token, pkcs11::Uri::parse(options_.key))) {
                print_note("the key is not loaded again: nobody would be there to enter its PIN");
                return;
            }
            server_->replace(open_identity(options_));
        });
    }
    void report() { print_note(to_text(server_->counters())); }
    void stop() {
        server_->stop();
        report();
    }

  private:
    using Clock = std::chrono::steady_clock;

    // What went wrong, told unless it is TOLD already; empty when nothing did.
    static std::string attempt(const std::function<void()>& action, std::string_view told = {}) {
        try {
            action();
        } catch (const std::exception& error) {
            if (error.what() != told)
                print_warning(fmt::format("{}; going on with what was loaded before", error.what()));
            return error.what();
        }
        return {};
    }
    // What could not be read (a database that somebody writes into, no descriptor left) may be readable soon.
    void reload_store() {
        constexpr std::chrono::seconds kAgain{5};
        problem_ = attempt([&] { server_->replace(load_store(options_)); }, problem_);
        retry_.reset();
        if (!problem_.empty()) retry_ = Clock::now() + kAgain;
    }

    std::unique_ptr<tvs::Server> make_server() {
        tvs::Server::Options server{endpoints_of(options_), open_identity(options_), options_.policy,
                                    options_.limits, options_.threads};
        auto store = load_store(options_);
        wait_for_the_end();  // before there are threads: they inherit it
        return std::make_unique<tvs::Server>(
            std::move(server), std::move(store), [](tvs::Severity severity, std::string_view line) {
                severity == tvs::Severity::Warning ? print_warning(line) : print_note(line);
            });
    }

    const TvsServeOptions& options_;
    FileStamp ctl_, database_;
    std::string problem_;  ///< of the last reload
    std::optional<Clock::time_point> retry_;
    std::unique_ptr<tvs::Server> server_;
};

ExitCode run(TvsServeOptions options) {
    if (options.database.empty() && options.ctl.empty())
        throw UsageError("give --database, --ctl or both: what to answer from");
    options.limits.handshake = std::chrono::seconds(options.handshake);
    options.limits.request = std::chrono::seconds(options.request);
    options.limits.idle = std::chrono::seconds(options.idle);
    if (options.policy.old == tvs::OldTls::Allowed)
        print_warning("TLS 1.0 and 1.1 are allowed: take this back when the old phones are served");
    if (options.policy.small_keys == tvs::SmallKeys::Allowed)
        print_warning("keys below 2048 bits are allowed");
    if (options.token.wait > 0)
        print_warning("--wait: no handshake waits for a token that was pulled; they fail until it is back");
    allow_connections(options.limits);
    block_signals({SIGHUP, SIGUSR1});
    Service service(options);
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&signals, signal);
    for (;;) {
        constexpr timespec kLook{1, 0};
        switch (sigtimedwait(&signals, nullptr, &kLook)) {
            case SIGHUP:
                service.reload();
                break;
            case SIGUSR1:
                service.report();
                break;
            case SIGINT:
            case SIGTERM:
                service.stop();
                return ExitCode::Done;
            default:
                break;
        }
        service.look_for_changes();  // after each signal, too: they may come faster than the wait ends
    }
}

}  // namespace

void add_tvs_serve(Command parent, Action& action) {
    const auto options = std::make_shared<TvsServeOptions>();
    Command command = add_command(
        parent, "serve",
        "Answer phones until SIGTERM; SIGHUP loads key, database and CTL again, SIGUSR1 reports counters",
        "ctlsign tvs serve --key tvs.pem --database tvs.db --ctl /srv/tftp/CTLFile.tlv");
    command.add_option("--key", options->key, "The server's key: a PEM file or a PKCS#11 URI")
        .type_name("SIGNER")
        .required();
    command
        .add_option("--certificate", options->certificate,
                    "The server's certificate and those above it, when key file or token hold none")
        .type_name("PEM");
    command.add_option("--database", options->database, "Certificates to vouch for (see tvs import-database)")
        .type_name("FILE");
    command.add_option("--ctl", options->ctl, "The CTL file of this server, read again when it changes")
        .type_name("FILE");
    command
        .add_option("--listen", options->listen,
                    "ADDRESS[:PORT], again for each (default every address, port 2445)")
        .type_name("ADDRESS")
        .one_value();
    command.add_option("--threads", options->threads, "How many (default one a core)")
        .type_name("NUMBER")
        .within(1U, 256U);
    command
        .add_option("--max-connections", options->limits.connections,
                    fmt::format("At once (default {})", options->limits.connections))
        .type_name("NUMBER")
        .within(1U, 1U << 20U);
    command
        .add_option("--max-per-address", options->limits.per_address,
                    fmt::format("At once from one address (default {})", options->limits.per_address))
        .type_name("NUMBER")
        .within(1U, 1U << 20U);
    command
        .add_option("--max-message", options->limits.message,
                    fmt::format("Octets of a request (default {})", options->limits.message))
        .type_name("OCTETS")
        .within(64U, static_cast<unsigned>(tvs::kMaxMessage));
    const auto seconds = [&command](const char* name, unsigned& value, const char* description) {
        command.add_option(name, value, fmt::format("{} (default {})", description, value))
            .type_name("SECONDS")
            .within(1U, 86400U);
    };
    seconds("--handshake-timeout", options->handshake, "For the TLS handshake");
    seconds("--request-timeout", options->request, "From a request's first octet to the end of its answer");
    seconds("--idle-timeout", options->idle, "Between requests");
    add_tls_options(command, options->policy);
    add_token_options(command, options->token);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
