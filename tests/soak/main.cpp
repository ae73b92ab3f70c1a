// usage: soak_tokens [--seconds N] [--seed S]
// Seeded random pulls, swaps, faults and kills against programs that sign. Prints the seed and what happened;
// exit code 1 when something happened that must not.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#ifdef CTLSIGN_INSTRUMENTED
#include <sanitizer/common_interface_defs.h>
#endif

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <exception>
#include <fstream>
#include <optional>
#include <random>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pkcs11/file.hpp>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <softhsm-profiles/profile.hpp>
#include <tests/soak/hand.hpp>
#include <tests/soak/record.hpp>
#include <tests/soak/worker.hpp>
#include <tests/support/child_process.hpp>
#include <tests/support/own_state.hpp>
#include <tests/support/process_state.hpp>
#include <tests/support/temporary_folder.hpp>

namespace ctlsign::testing::soak {
namespace {

#ifdef CTLSIGN_INSTRUMENTED
constexpr bool kInstrumented = true;
// A sanitizer starts a program that finds names when it first needs one: its pipes are no leak.
void start_symbolizer() {
    char name[64];
    __sanitizer_symbolize_pc(__builtin_return_address(0), "%f", name, sizeof name);
}
#else
constexpr bool kInstrumented = false;
void start_symbolizer() {}
#endif

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kModuleDeadline = 2s;
constexpr std::size_t kMemoryGrowth = std::size_t{8} << 20U;

const std::vector<std::string> kFaults = {
    "on C_Sign return CKR_DEVICE_ERROR",
    "on C_Sign return CKR_FUNCTION_CANCELED",
    "on C_Sign delay 200ms",
    "on C_Sign corrupt",
    "on C_Sign unplug TOKEN",
    "on C_SignInit return CKR_SESSION_HANDLE_INVALID",
    "on C_SignInit return CKR_USER_NOT_LOGGED_IN",
    "on C_SignInit unplug TOKEN",
    "on C_OpenSession return CKR_DEVICE_ERROR",
    "on C_OpenSession unplug TOKEN",
    "on C_Login return CKR_DEVICE_ERROR",
    "on C_Login unplug TOKEN",
    "on C_FindObjectsInit return CKR_DEVICE_REMOVED",
    "on C_GetTokenInfo return CKR_DEVICE_ERROR",
    "on C_GetSlotList return CKR_GENERAL_ERROR",
    "at 30ms unplug TOKEN",
    "after 2 signatures unplug TOKEN",
};
// For a module in a process of its own alone.
const std::vector<std::string> kFatalFaults = {
    "on C_Sign crash", "on C_Login crash",      "on C_OpenSession crash", "on C_Initialize crash",
    "on C_Sign hang",  "on C_GetSlotList hang", "on C_Finalize hang",
};

// The profile NAME with a tenth of its times, so that more happens in a minute.
softhsm::Profile quick_profile(const std::string& name) {
    static const std::regex kLastDigit(R"((-milliseconds = \d+)\d)");
    return softhsm::decode_profile(std::regex_replace(softhsm::load_profile(name).text, kLastDigit, "$1"),
                                   name);
}

Chosen make_token(const fs::path& folder, const std::string& name, const std::string& profile_name) {
    const auto profile = quick_profile(profile_name);
    const auto token = softhsm::create_virtual_token(folder, name, profile, {});
    return {.serial = token.serial, .pin = profile.pin.user, .certificate_file = token.certificate_file};
}

std::shared_ptr<pkcs11::Module> open_here() {
    return pkcs11::Module::open(VirtualToken::module());
}

struct Held {
    std::size_t descriptors, memory;
    static Held now() {
        malloc_trim(0);
        return {count_descriptors(), resident_memory()};
    }
};

/// Another process that signs with a token of ours until it is killed.
class Visitor {
  public:
    Visitor(std::string program, Chosen token, const Record& record, std::mt19937& random)
        : program_(std::move(program)), token_(std::move(token)), record_(record), random_(random) {
        const fs::path softhsm = token_.certificate_file.parent_path() / "softhsm";
        for (const auto& entry : fs::recursive_directory_iterator(softhsm)) {
            if (entry.path().filename() == "token.object") file_ = entry.path();
        }
        content_ = read_file(file_.string(), 1 << 16);
    }

    void come_or_be_killed() {
        if (process_) return leave();
        const bool mistaken = random_() % 6 == 0;
        process_.emplace(std::vector<std::string>{program_, mistaken ? "--mistaken-visitor" : "--visitor",
                                                  token_.serial, token_.pin, token_.certificate_file,
                                                  record_.file(), std::to_string(random_())});
    }
    void leave() {
        if (!process_) return;
        record_.count("kills");
        process_.reset();
        if (damaged()) mend();
    }

  private:
    // SoftHSM2 empties the token's file at each login and writes it anew. Who is killed in between leaves a
    // token that nobody sees any more: that is the model's weakness, and no token's.
    bool damaged() const {
        for (int i = 0; i < 10; ++i) {
            if (fs::file_size(file_) == content_.size()) return false;
            std::this_thread::sleep_for(10ms);  // another one may be writing
        }
        return true;
    }
    void mend() const {
        const fs::path whole = file_.string() + ".whole";
        std::ofstream(whole, std::ios::binary) << as_text(content_);
        fs::rename(whole, file_);
        record_.count("files of SoftHSM2 mended");
    }

    std::string program_;
    Chosen token_;
    const Record& record_;
    std::mt19937& random_;
    fs::path file_;
    Bytes content_;
    std::optional<ChildProcess> process_;
};

// What the visitor's process does.
int visit(const std::vector<std::string>& arguments) {
    const Record record(arguments.at(4));
    Worker worker("visitor", open_here,
                  {.serial = arguments.at(1), .pin = arguments.at(2), .certificate_file = arguments.at(3)},
                  record, static_cast<std::mt19937::result_type>(std::stoul(arguments.at(5))));
    if (arguments.at(0) == "--mistaken-visitor") {
        worker.try_wrong_pin();
    } else {
        const std::atomic<bool> never = false;
        worker.run(never);
    }
    return 0;
}

class Soak {
  public:
    Soak(const std::string& program, const fs::path& folder, std::mt19937::result_type seed)
        : record_(folder / "record"), random_(seed) {
        const fs::path here = folder / "here";
        setenv("CTLSIGN_VIRTUAL_TOKENS", here.c_str(), 1);
        Chosen first = make_token(here, "A", "etoken-5110");
        first.shared = true;
        const Chosen second = make_token(here, "B", "etoken-5110-cc");
        make_token(here, "X", "etoken-5110");
        add_worker("A", open_here, first);
        add_worker("B", open_here, second);
        hands_.emplace_back(here, std::vector<std::string>{"A", "B"}, "X", kFaults, record_, random_);
        visitor_.emplace(program, first, record_, random_);
        // p11-kit's program cannot load a module that is instrumented.
        if constexpr (!kInstrumented) add_isolated(folder / "apart");
        for (Hand& hand : hands_) hand.make_peace();
    }

    /// In four parts. Between them nothing runs, and what is held can be compared.
    void run(std::chrono::seconds time) {
        std::optional<Held> early;
        for (int part = 0; part < 4; ++part) {
            disturb_for(time / 4);
            for (Hand& hand : hands_) hand.make_peace();
            for (Worker& worker : workers_) worker.expect_whole();
            // A sanitizer may have one for itself, which finds names for its reports.
            if (const auto children = count_children(); !kInstrumented && children != 0)
                record_.fail(fmt::format("{} processes are left", children));
            if (!early) early = Held::now();
        }
        expect_flat(*early, Held::now());
    }

    /// Prints what happened. Whether all of that may happen.
    bool report() const {
        bool good = true;
        for (const auto& [what, count] : record_.read()) {
            fmt::print("{:>8} {}\n", count, what);
            good = good && !Record::is_failure(what);
        }
        for (const Worker& worker : workers_)
            fmt::print("{:>8} ms, the longest call of {}\n", worker.longest_call().count(), worker.name());
        return good;
    }

  private:
    void add_worker(const std::string& name, const Worker::Open& open, const Chosen& token) {
        workers_.emplace_back(name, open, token, record_, random_());
    }

    void add_isolated(const fs::path& apart) {
        const Chosen third = make_token(apart, "C", "etoken-pro-64k");
        make_token(apart, "Y", "etoken-pro-64k");
        const std::string command = fmt::format("CTLSIGN_VIRTUAL_TOKENS={} exec p11-kit remote {}",
                                                apart.string(), VirtualToken::module());
        add_worker(
            "C", [command] { return pkcs11::Module::open_command(command, {kModuleDeadline}); }, third);
        auto faults = kFaults;
        faults.insert(faults.end(), kFatalFaults.begin(), kFatalFaults.end());
        hands_.emplace_back(apart, std::vector<std::string>{"C"}, "Y", faults, record_, random_);
    }

    void disturb_for(Clock::duration time) {
        const auto end = Clock::now() + time;
        std::atomic<bool> stop = false;
        std::vector<std::thread> threads;
        for (Worker& worker : workers_) threads.emplace_back([&] { worker.run(stop); });
        while (Clock::now() < end) {
            const auto which = random_() % (hands_.size() + 1);
            if (which < hands_.size()) {
                hands_.at(which).do_something();
            } else {
                visitor_->come_or_be_killed();
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 150));
        }
        // Who waits for a token is not made to wait for the end of its patience.
        for (Hand& hand : hands_) hand.make_peace();
        visitor_->leave();
        stop = true;
        for (std::thread& thread : threads) thread.join();
    }

    void expect_flat(const Held& early, const Held& late) const {
        fmt::print("descriptors: {} after a quarter, {} at the end; memory: {:.1f} and {:.1f} MiB\n",
                   early.descriptors, late.descriptors, static_cast<double>(early.memory) / (1 << 20),
                   static_cast<double>(late.memory) / (1 << 20));
        if (late.descriptors > early.descriptors) record_.fail("descriptors leak");
        // Sanitizers keep what was freed.
        if (!kInstrumented && late.memory > early.memory + kMemoryGrowth) record_.fail("memory leaks");
    }

    Record record_;
    std::mt19937 random_;
    std::deque<Worker> workers_;
    std::deque<Hand> hands_;
    std::optional<Visitor> visitor_;
};

unsigned to_number(const std::string& text) {
    unsigned number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size())
        throw std::invalid_argument("not a number: " + text);
    return number;
}

int soak(const std::string& program, const std::vector<std::string>& arguments) {
    std::chrono::seconds time = 60s;
    unsigned seed = std::random_device()();
    for (std::size_t i = 0; i < arguments.size(); i += 2) {
        const unsigned number = to_number(arguments.at(i + 1));
        if (arguments[i] == "--seconds") {
            time = std::chrono::seconds(number);
        } else if (arguments[i] == "--seed") {
            seed = number;
        } else {
            throw std::invalid_argument("no such option: " + arguments[i]);
        }
    }
    fmt::print("soak: --seconds {} --seed {}\n", time.count(), seed);
    std::fflush(stdout);

    const rlimit none{};
    setrlimit(RLIMIT_CORE, &none);  // modules crash here
    start_symbolizer();
    const OwnState state;
    const TemporaryFolder folder;
    const fs::path temporary = folder / "t";
    fs::create_directory(temporary);
    for (const char* name : {"TMPDIR", "XDG_RUNTIME_DIR"}) setenv(name, temporary.c_str(), 1);
    // Libraries set these while other threads read the environment: that is safe when they are there already.
    for (const char* name : {"SOFTHSM2_CONF", "P11_KIT_SERVER_ADDRESS"}) setenv(name, "", 1);

    bool good = true;
    {
        Soak soak(program, folder.path(), seed);
        soak.run(time);
        good = soak.report();
    }
    for (const auto& left : fs::recursive_directory_iterator(temporary)) {
        // ThreadSanitizer's own, of a process that was killed when it had just started.
        if (kInstrumented && left.path().filename().string().starts_with("tsan.")) continue;
        fmt::print("FAILED: {} is left\n", left.path().string());
        good = false;
    }
    fmt::print("soak: {} (--seconds {} --seed {})\n", good ? "passed" : "FAILED", time.count(), seed);
    return good ? 0 : 1;
}

}  // namespace
}  // namespace ctlsign::testing::soak

int main(int argc, char** argv) try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (!arguments.empty() && arguments[0].ends_with("visitor"))
        return ctlsign::testing::soak::visit(arguments);
    return ctlsign::testing::soak::soak(argv[0], arguments);
} catch (const std::exception& e) {
    fmt::print(stderr, "soak: {}\n", e.what());
    return 2;
}
