#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/cryptoki_functions.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/fault.hpp>
#include <softhsm-profiles/locked_file.hpp>

namespace ctlsign::softhsm {

namespace {

using std::chrono::milliseconds;

#define CTLSIGN_NAME(function) #function,
constexpr std::string_view kFunctions[] = {CTLSIGN_CRYPTOKI_FUNCTIONS(CTLSIGN_NAME)};
#undef CTLSIGN_NAME

constexpr unsigned kMaxStandardRv = 0x200;  // the last of PKCS#11 2.40 is CKR_FUNCTION_REJECTED

std::optional<unsigned> find_number(std::string_view text, int base = 10) {
    unsigned number = 0;
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number, base);
    if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
    return number;
}

// What a CK_RV is called that has no name.
bool is_unnamed(std::string_view rv) {
    return rv.starts_with("CKR_0x");
}

// The words of a line, taken one by one.
class Words {
  public:
    explicit Words(std::string_view line) : line_(line), rest_(line) {}

    std::string_view next() {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r"), rest_.size()));
        const std::string_view word = rest_.substr(0, rest_.find_first_of(" \t\r"));
        rest_.remove_prefix(word.size());
        return word;
    }
    bool at_end() { return rest_.find_first_not_of(" \t\r") == std::string_view::npos; }
    [[noreturn]] void malformed(std::string_view expected) const {
        throw Error(Errc::MalformedFault, "reading", fmt::format("'{}'", line_),
                    fmt::format("expected {}", expected));
    }

    std::string_view next_function() {
        const std::string_view word = next();
        if (std::ranges::find(kFunctions, word) == std::end(kFunctions))
            malformed("the name of a function, C_...");
        return word;
    }
    unsigned to_count(std::string_view word) const {
        const auto number = find_number(word);
        if (!number || *number == 0) malformed("a number from 1");
        return *number;
    }
    milliseconds next_duration() {
        const std::string_view word = next();
        const auto digits = std::min(word.find_first_not_of("0123456789"), word.size());
        const auto number = find_number(word.substr(0, digits));
        const std::string_view unit = word.substr(digits);
        if (!number || (unit != "ms" && unit != "s")) malformed("a duration, 500ms or 2s");
        return milliseconds(std::int64_t{*number} * (unit == "s" ? 1000 : 1));
    }
    unsigned long next_rv() {
        const std::string_view word = next();
        if (word.starts_with("0x")) {
            if (const auto number = find_number(word.substr(2), 16)) return *number;
        }
        for (unsigned rv = 0; rv <= kMaxStandardRv && !is_unnamed(word); ++rv) {
            if (pkcs11::make_rv(rv).message() == word) return rv;
        }
        malformed("a return value, CKR_... or 0x...");
    }

  private:
    std::string_view line_, rest_;
};

void read_plugging(Words& words, std::string_view effect, Fault& fault) {
    fault.effect = effect == "plug" ? Fault::Effect::Plug : Fault::Effect::Unplug;
    fault.token = words.next();
    if (fault.token.empty()) words.malformed("the name of a token");
}

void read_effect(Words& words, Fault& fault) {
    const std::string_view effect = words.next();
    if (effect == "unplug" || effect == "plug") {
        read_plugging(words, effect, fault);
    } else if (fault.trigger != Fault::Trigger::Call) {
        words.malformed("'unplug' or 'plug'");
    } else if (effect == "return") {
        fault.effect = Fault::Effect::Return;
        fault.rv = words.next_rv();
    } else if (effect == "delay") {
        fault.effect = Fault::Effect::Delay;
        fault.delay = words.next_duration();
    } else if (effect == "crash") {
        fault.effect = Fault::Effect::Crash;
    } else if (effect == "hang") {
        fault.effect = Fault::Effect::Hang;
    } else if (effect == "corrupt" && (fault.function == "C_Sign" || fault.function == "C_SignFinal")) {
        fault.effect = Fault::Effect::Corrupt;
    } else {
        words.malformed("return, delay, crash, hang, unplug, plug, or corrupt for C_Sign and C_SignFinal");
    }
}

std::string encode_rv(unsigned long rv) {
    const std::string name = pkcs11::make_rv(rv).message();
    return rv <= kMaxStandardRv && !is_unnamed(name) ? name : fmt::format("0x{:x}", rv);
}

std::string encode_trigger(const Fault& fault) {
    switch (fault.trigger) {
        case Fault::Trigger::Call:
            return fmt::format("on {}{}", fault.function,
                               fault.count == 1 ? "" : fmt::format(" #{}", fault.count));
        case Fault::Trigger::Time:
            return fmt::format("at {}ms", fault.time.count());
        case Fault::Trigger::Signatures:
            return fmt::format("after {} signatures", fault.count);
    }
    return {};
}

std::string encode_effect(const Fault& fault) {
    switch (fault.effect) {
        case Fault::Effect::Return:
            return "return " + encode_rv(fault.rv);
        case Fault::Effect::Delay:
            return fmt::format("delay {}ms", fault.delay.count());
        case Fault::Effect::Crash:
            return "crash";
        case Fault::Effect::Corrupt:
            return "corrupt";
        case Fault::Effect::Hang:
            return "hang";
        case Fault::Effect::Unplug:
            return "unplug " + fault.token;
        case Fault::Effect::Plug:
            return "plug " + fault.token;
    }
    return {};
}

}  // namespace

Fault decode_fault(std::string_view line) {
    Words words(line);
    Fault fault;
    std::string_view word = words.next();
    if (word == "on") {
        fault.trigger = Fault::Trigger::Call;
        fault.function = words.next_function();
        Words ahead = words;
        word = ahead.next();
        if (word.starts_with('#')) {
            fault.count = words.to_count(word.substr(1));
            words = ahead;
        }
    } else if (word == "at") {
        fault.trigger = Fault::Trigger::Time;
        fault.time = words.next_duration();
    } else if (word == "after") {
        fault.trigger = Fault::Trigger::Signatures;
        fault.count = words.to_count(words.next());
        word = words.next();
        if (word != "signatures" && word != "signature") words.malformed("'signatures'");
    } else {
        words.malformed("'on', 'at' or 'after'");
    }
    read_effect(words, fault);
    if (!words.at_end()) words.malformed("the end of the line");
    return fault;
}

std::string encode_fault(const Fault& fault) {
    return encode_trigger(fault) + ' ' + encode_effect(fault);
}

void add_fault(const std::filesystem::path& folder, const Fault& fault) {
    LockedFile file(folder / "faults");
    std::string script = file.read();
    if (!script.empty() && script.back() != '\n') script += '\n';
    file.write(script + encode_fault(fault) + '\n');
}

}  // namespace ctlsign::softhsm
