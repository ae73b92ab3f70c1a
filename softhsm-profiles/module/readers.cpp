#include <sys/stat.h>

#include <algorithm>
#include <tuple>

#include <pkcs11/error.hpp>
#include <softhsm-profiles/module/readers.hpp>
#include <softhsm-profiles/virtual_plug.hpp>

namespace ctlsign::virtual_token {

namespace fs = std::filesystem;

namespace {

// Readers have four digits at most, so that no two slots ever have the same number.
constexpr CK_SLOT_ID kNextPlug = 0x10000;

std::optional<Plug> read_plug(const fs::path& link) {
    struct stat info {};
    std::error_code code;
    const fs::path target = fs::read_symlink(link, code);
    if (code || lstat(link.c_str(), &info) != 0) return std::nullopt;
    return Plug{.token = target.filename().string(),
                .inode = info.st_ino,
                .changed = std::chrono::seconds(info.st_ctim.tv_sec) +
                           std::chrono::nanoseconds(info.st_ctim.tv_nsec)};
}

}  // namespace

Readers::Readers(fs::path folder, SoftHsmPool& pool) : folder_(std::move(folder)), pool_(pool) {
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder_ / "tokens", code)) {
        try {
            learn(softhsm::load_profile((entry.path() / "profile.toml").string()));
        } catch (const Error&) {
            // Half made, or no token: it says so when it is plugged in.
        }
    }
    add_readers();
    std::vector<std::shared_ptr<Token>> none;
    FolderChanges everything;
    everything.everything = true;
    look(everything, none);
    events_.clear();
    if (spurious_first_event_ && !readers_.empty()) add_event(readers_.begin()->second.slot);
}

void Readers::learn(const softhsm::Profile& profile) {
    slots_ = std::max(slots_, profile.token.slots);
    spurious_first_event_ = spurious_first_event_ || profile.behaviour.spurious_first_event;
    const CK_VERSION version{static_cast<CK_BYTE>(profile.token.cryptoki_major),
                             static_cast<CK_BYTE>(profile.token.cryptoki_minor)};
    if (std::tie(version.major, version.minor) < std::tie(version_.major, version_.minor)) version_ = version;
}

void Readers::add(unsigned number) {
    const auto [reader, added] = readers_.try_emplace(number);
    if (added) reader->second.slot = number;
}

void Readers::add_readers() {
    for (unsigned number = 0; number < slots_; ++number) add(number);
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder_ / "readers", code)) {
        if (const auto number = softhsm::find_reader_number(entry.path().filename().string())) add(*number);
    }
}

void Readers::look(const FolderChanges& changes, std::vector<std::shared_ptr<Token>>& pulled) {
    if (changes.everything) add_readers();
    for (const unsigned number : changes.linked) add(number);
    for (auto& [number, reader] : readers_) {
        if (changes.everything || changes.linked.contains(number) || changes.pulled.contains(number))
            look_at(number, reader, changes, pulled);
    }
}

void Readers::look_at(unsigned number, Reader& reader, const FolderChanges& changes,
                      std::vector<std::shared_ptr<Token>>& pulled) {
    std::optional<Plug> now = read_plug(softhsm::link_of_reader(folder_, number));
    if (reader.plug && (changes.pulled.contains(number) || now != reader.plug)) {
        if (reader.token) {
            reader.token->leave();
            pulled.push_back(std::move(reader.token));
        }
        reader.token.reset();
        reader.plug.reset();
        add_event(reader.slot);
    }
    if (now && !reader.plug) plug(reader, std::move(*now));
}

void Readers::plug(Reader& reader, Plug plug) {
    const auto since = std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(plug.changed));
    try {
        reader.token = std::make_shared<Token>(folder_, plug.token, since, pool_);
        learn(reader.token->profile());
        add_readers();
        if (reader.used && reader.token->profile().token.slot_id_changes) reader.slot += kNextPlug;
    } catch (const Error&) {
        reader.token.reset();  // what is in the reader is no token: CKR_TOKEN_NOT_RECOGNIZED
    }
    reader.plug = std::move(plug);
    reader.used = true;
    add_event(reader.slot);
}

const Reader* Readers::find(CK_SLOT_ID slot) const {
    const auto found = readers_.find(static_cast<unsigned>(slot % kNextPlug));
    return found == readers_.end() || found->second.slot != slot ? nullptr : &found->second;
}

std::optional<CK_SLOT_ID> Readers::find_slot(const Token& token) const {
    for (const auto& [number, reader] : readers_) {
        if (reader.token.get() == &token) return reader.slot;
    }
    return std::nullopt;
}

void Readers::add_event(CK_SLOT_ID slot) {
    if (std::ranges::find(events_, slot) == events_.end()) events_.push_back(slot);
}

std::optional<CK_SLOT_ID> Readers::take_event() {
    if (events_.empty()) return std::nullopt;
    const CK_SLOT_ID slot = events_.front();
    events_.pop_front();
    return slot;
}

}  // namespace ctlsign::virtual_token
