#include <algorithm>
#include <string_view>

#include <softhsm-profiles/locked_file.hpp>
#include <softhsm-profiles/module/fault_script.hpp>

namespace ctlsign::virtual_token {

using softhsm::Fault;

namespace {

// The first line of a script that is a fault, and where the script goes on.
struct Head {
    std::string line;
    std::string rest;
};

Head split(std::string_view script) {
    while (!script.empty()) {
        const auto end = std::min(script.find('\n'), script.size());
        const std::string_view line = script.substr(0, end);
        script.remove_prefix(std::min(end + 1, script.size()));
        const auto first = line.find_first_not_of(" \t\r");
        if (first != std::string_view::npos && line[first] != '#')
            return {std::string(line), std::string(script)};
    }
    return {};
}

}  // namespace

void FaultScript::open(const std::filesystem::path& folder) {
    const std::scoped_lock lock(mutex_);
    file_ = folder / "faults";
    looked_ = false;
    line_.clear();
    fault_.reset();
}

void FaultScript::look_again() {
    const std::scoped_lock lock(mutex_);
    looked_ = false;
}

void FaultScript::arm(std::string line) {
    if (line != line_) {
        line_ = std::move(line);
        fault_.reset();
        armed_ = Clock::now();
    }
    // A line that is none throws each time, until somebody mends it.
    if (!line_.empty() && !fault_) fault_ = softhsm::decode_fault(line_);
}

void FaultScript::look() {
    if (looked_) {
        arm(line_);
    } else {
        const std::string script = softhsm::read_locked(file_);
        looked_ = true;
        arm(split(script).line);
    }
}

std::optional<Fault> FaultScript::take(const Matches& matches) {
    const std::scoped_lock lock(mutex_);
    look();
    if (!fault_ || !matches(*fault_)) return std::nullopt;
    // Another process may have been faster.
    softhsm::LockedFile file(file_);
    Head head = split(file.read());
    arm(head.line);
    if (!fault_ || !matches(*fault_)) return std::nullopt;
    Fault fault = *fault_;
    if (fault.count > 1) {
        --fault.count;
        const std::string line = softhsm::encode_fault(fault);
        file.write(line + '\n' + head.rest);
        arm(line);
        return std::nullopt;
    }
    file.write(head.rest);
    arm(split(head.rest).line);
    return fault;
}

std::optional<Fault> FaultScript::on_call(std::string_view function) {
    return take([&](const Fault& fault) {
        return fault.trigger == Fault::Trigger::Call && fault.function == function;
    });
}

std::optional<Fault> FaultScript::on_signature() {
    return take([](const Fault& fault) { return fault.trigger == Fault::Trigger::Signatures; });
}

std::optional<Fault> FaultScript::on_time(Clock::time_point now) {
    return take([&](const Fault& fault) {
        return fault.trigger == Fault::Trigger::Time && armed_ + fault.time <= now;
    });
}

std::optional<FaultScript::Clock::time_point> FaultScript::due() {
    const std::scoped_lock lock(mutex_);
    look();
    if (!fault_ || fault_->trigger != Fault::Trigger::Time) return std::nullopt;
    return armed_ + fault_->time;
}

}  // namespace ctlsign::virtual_token
