#include <thread>
#include <utility>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/fault.hpp>
#include <softhsm-profiles/virtual_plug.hpp>
#include <tests/soak/hand.hpp>

namespace ctlsign::testing::soak {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {
constexpr auto kLongestAway = 300ms;
constexpr unsigned kReaders = 4;
constexpr const char* kAnyToken = "TOKEN";
}  // namespace

Hand::Hand(fs::path folder, std::vector<std::string> tokens, std::string spare,
           std::vector<std::string> faults, const Record& record, std::mt19937& random)
    : folder_(std::move(folder)),
      tokens_(std::move(tokens)),
      spare_(std::move(spare)),
      faults_(std::move(faults)),
      record_(record),
      random_(random) {}

const std::string& Hand::any(const std::vector<std::string>& of) {
    return of.at(random_() % of.size());
}

void Hand::hesitate(std::chrono::milliseconds at_most) {
    std::this_thread::sleep_for(random_() % 100 * at_most / 100);
}

// A fault may pull the token at any moment, so that it is not where it was.
std::optional<unsigned> Hand::pull(const std::string& token) {
    try {
        const unsigned reader = softhsm::unplug_virtual_token(folder_, token);
        record_.count("pulls");
        return reader;
    } catch (const Error& e) {
        if (e.code() != softhsm::Errc::TokenUnplugged) throw;
        return std::nullopt;
    }
}

void Hand::plug(const std::string& token, std::optional<unsigned> reader) {
    try {
        softhsm::plug_virtual_token(folder_, token, reader);
    } catch (const Error& e) {
        if (e.code() == softhsm::Errc::TokenPlugged) return;
        if (e.code() != softhsm::Errc::ReaderOccupied) throw;
        softhsm::plug_virtual_token(folder_, token);
    }
}

void Hand::plug_all() {
    for (const auto& token : tokens_) {
        if (!softhsm::find_reader(folder_, token)) plug(token);
    }
}

void Hand::break_something() {
    // One at a time: a fault that waits would keep the others back.
    std::error_code none;
    if (fs::file_size(folder_ / "faults", none) > 0 && !none) return;
    std::string fault = any(faults_);
    record_.count("fault: " + fault);
    if (const auto at = fault.find(kAnyToken); at != std::string::npos)
        fault.replace(at, std::string(kAnyToken).size(), any(tokens_));
    softhsm::add_fault(folder_, softhsm::decode_fault(fault));
}

void Hand::do_something() {
    plug_all();
    const std::string& token = any(tokens_);
    switch (random_() % 8) {
        case 0:  // out and in at once
            plug(token, pull(token));
            break;
        case 1:  // another reader
            pull(token);
            hesitate(kLongestAway);
            plug(token, random_() % kReaders);
            break;
        case 2: {  // another token in its place
            const auto reader = pull(token);
            hesitate(kLongestAway);
            plug(spare_, reader);
            record_.count("other tokens put in");
            hesitate(kLongestAway);
            if (random_() % 2 == 0) plug(token);
            hesitate(kLongestAway);
            pull(spare_);
            break;
        }
        case 3: {  // readers swapped
            const std::string& other = any(tokens_);
            const auto its = pull(token), others = pull(other);
            plug(token, others);
            plug(other, its);
            break;
        }
        default:
            break_something();
    }
}

void Hand::make_peace() {
    pull(spare_);
    plug_all();
    std::error_code ignored;
    fs::resize_file(folder_ / "faults", 0, ignored);
}

}  // namespace ctlsign::testing::soak
