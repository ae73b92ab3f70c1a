#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <pkcs11/error.hpp>
#include <pkcs11/private_files.hpp>
#include <pkcs11/signals_blocked.hpp>
#include <softhsm-profiles/module/module.hpp>
#include <softhsm-profiles/virtual_folder.hpp>
#include <softhsm-profiles/virtual_plug.hpp>

namespace ctlsign::virtual_token {

namespace {

constexpr auto kLookWithoutNotices = std::chrono::milliseconds(20);

// Never destroyed: threads of the program may call until the process has ended.
std::atomic<Module*> instance = nullptr;

bool are_valid(const CK_C_INITIALIZE_ARGS& arguments) {
    const int given = (arguments.CreateMutex != nullptr ? 1 : 0) +
                      (arguments.DestroyMutex != nullptr ? 1 : 0) + (arguments.LockMutex != nullptr ? 1 : 0) +
                      (arguments.UnlockMutex != nullptr ? 1 : 0);
    return arguments.pReserved == nullptr && (given == 0 || given == 4);
}

}  // namespace

Module::Module(pid_t process) : process_(process) {}

Module* Module::find() noexcept {
    Module* module = instance;
    return module != nullptr && module->process_ == getpid() ? module : nullptr;
}

Module& Module::get() {
    for (;;) {
        Module* before = instance;
        if (before != nullptr && before->process_ == getpid()) return *before;
        // What a parent process left is given up: its locks may be held for ever.
        std::unique_ptr<Module> fresh(new Module(getpid()));
        if (instance.compare_exchange_strong(before, fresh.get())) return *fresh.release();
    }
}

CK_RV Module::initialize(const CK_C_INITIALIZE_ARGS* arguments) {
    if (arguments != nullptr && !are_valid(*arguments)) return CKR_ARGUMENTS_BAD;
    const std::scoped_lock lifecycle(lifecycle_);
    const std::scoped_lock lock(mutex_);
    if (initialized_) return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    folder_ = softhsm::virtual_tokens_folder();
    make_private_folder(folder_);
    make_private_folder(folder_ / "readers");
    log_.open(folder_);
    faults_.open(folder_);
    watch_ = std::make_unique<FolderWatch>(folder_);
    readers_ = std::make_unique<Readers>(folder_, pool_);
    wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_) return CKR_HOST_MEMORY;  // no descriptor is left
    const SignalsBlocked blocked;
    watcher_ = std::thread([this] { watch(); });
    initialized_ = true;
    listed_.clear();
    for (const auto& [number, reader] : readers_->all()) listed_.push_back(reader.slot);
    return CKR_OK;
}

CK_RV Module::finalize() {
    const std::scoped_lock lifecycle(lifecycle_);
    Graveyard graveyard;
    {
        const std::scoped_lock lock(mutex_);
        if (!initialized_) return CKR_CRYPTOKI_NOT_INITIALIZED;
        initialized_ = false;
        for (const auto& [number, reader] : readers_->all()) {
            if (!reader.token) continue;
            reader.token->leave();
            graveyard.tokens.push_back(reader.token);
        }
        end_sessions(graveyard, [](const Session&) { return true; });
        readers_.reset();
    }
    changed_.notify_all();
    wake_watcher();
    watcher_.join();
    const std::scoped_lock lock(mutex_);
    watch_.reset();
    wake_ = {};
    return CKR_OK;
}

void Module::wake_watcher() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof one);
}

void Module::watch() {
    for (;;) {
        std::array<pollfd, 2> descriptors{{{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                           {.fd = -1, .events = POLLIN, .revents = 0}}};
        {
            const std::scoped_lock lock(mutex_);
            if (!initialized_) return;
            descriptors[1].fd = watch_->descriptor();
        }
        std::optional<std::chrono::milliseconds> patience;
        if (descriptors[1].fd < 0) patience = kLookWithoutNotices;
        try {
            if (const auto due = faults_.due()) {
                const auto rest =
                    std::chrono::ceil<std::chrono::milliseconds>(*due - FaultScript::Clock::now());
                patience = std::max(std::chrono::milliseconds(0), std::min(rest, patience.value_or(rest)));
            }
            if (const auto fault = faults_.on_time(FaultScript::Clock::now())) {
                fire(*fault);
                continue;
            }
        } catch (const std::exception&) {
            // A script that cannot be read is the next call's error.
        }
        poll(descriptors.data(), descriptors.size(), patience ? static_cast<int>(patience->count()) : -1);
        std::uint64_t count = 0;
        [[maybe_unused]] const auto cleared = read(wake_.get(), &count, sizeof count);
        if (!notice()) return;
    }
}

bool Module::notice() {
    Graveyard graveyard;
    FolderChanges changes;
    {
        const std::scoped_lock lock(mutex_);
        if (!initialized_) return false;
        changes = watch_->take();
        if (changes.none()) return true;
        look(changes, graveyard);
        if (changes.faults) {
            faults_.look_again();
            if (watch_->descriptor() >= 0) wake_watcher();
        }
    }
    changed_.notify_all();
    return true;
}

void Module::look(const FolderChanges& changes, Graveyard& graveyard) {
    readers_->look(changes, graveyard.tokens);
    if (!graveyard.tokens.empty())
        end_sessions(graveyard, [](const Session& session) { return session.token->gone(); });
}

void Module::end_sessions(Graveyard& graveyard, const auto& ends) {
    std::erase_if(sessions_, [&](auto& entry) {
        if (!ends(*entry.second)) return false;
        graveyard.sessions.push_back(std::move(entry.second));
        return true;
    });
}

void Module::fire(const softhsm::Fault& fault) {
    std::filesystem::path folder;
    {
        const std::scoped_lock lock(mutex_);
        folder = folder_;
    }
    try {
        if (fault.effect == softhsm::Fault::Effect::Plug) {
            softhsm::plug_virtual_token(folder, fault.token);
        } else {
            softhsm::unplug_virtual_token(folder, fault.token);
        }
    } catch (const Error& e) {
        log_.write_note(e.what());  // there already, or gone already
    }
    notice();
}

std::vector<CK_SLOT_ID> Module::list_slots(bool with_token, Refresh refresh) {
    const std::scoped_lock lock(mutex_);
    std::vector<CK_SLOT_ID> slots;
    if (!initialized_) return slots;
    if (refresh == Refresh::Yes) {
        listed_.clear();
        for (const auto& [number, reader] : readers_->all()) listed_.push_back(reader.slot);
    }
    std::ranges::copy_if(listed_, std::back_inserter(slots), [&](CK_SLOT_ID slot) {
        const Reader* reader = readers_->find(slot);
        return !with_token || (reader != nullptr && reader->plug);
    });
    return slots;
}

CK_VERSION Module::cryptoki_version() {
    const std::scoped_lock lock(mutex_);
    return initialized_ ? readers_->cryptoki_version() : CK_VERSION{2, 40};
}

std::optional<Reader> Module::find_reader(CK_SLOT_ID slot) {
    const std::scoped_lock lock(mutex_);
    const Reader* reader = initialized_ ? readers_->find(slot) : nullptr;
    return reader == nullptr ? std::nullopt : std::optional(*reader);
}

std::optional<CK_SLOT_ID> Module::find_slot(const Token& token) {
    const std::scoped_lock lock(mutex_);
    return initialized_ ? readers_->find_slot(token) : std::nullopt;
}

CK_RV Module::next_event(Wait wait, CK_SLOT_ID& slot) {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (!initialized_) return CKR_CRYPTOKI_NOT_INITIALIZED;
        if (const auto event = readers_->take_event()) {
            slot = *event;
            return CKR_OK;
        }
        if (wait == Wait::No) return CKR_NO_EVENT;
        changed_.wait(lock);
    }
}

CK_SESSION_HANDLE Module::add_session(std::shared_ptr<Token> token, CK_SESSION_HANDLE inner) {
    const std::scoped_lock lock(mutex_);
    if (token->gone()) return CK_INVALID_HANDLE;
    token->count_opened_session();
    auto session = std::make_shared<Session>();
    session->token = std::move(token);
    session->inner = inner;
    sessions_.emplace(++last_session_, std::move(session));
    return last_session_;
}

std::shared_ptr<Session> Module::find_session(CK_SESSION_HANDLE handle) {
    const std::scoped_lock lock(mutex_);
    const auto found = sessions_.find(handle);
    return found == sessions_.end() ? nullptr : found->second;
}

void Module::remove_session(CK_SESSION_HANDLE handle) {
    const std::scoped_lock lock(mutex_);
    const auto found = sessions_.find(handle);
    if (found == sessions_.end()) return;
    found->second->token->end_operation(handle);
    found->second->token->count_closed_session();
    sessions_.erase(found);
}

void Module::remove_sessions(const Token& token) {
    Graveyard graveyard;
    const std::scoped_lock lock(mutex_);
    for (const auto& [handle, session] : sessions_) {
        if (session->token.get() != &token) continue;
        session->token->end_operation(handle);
        session->token->count_closed_session();
    }
    end_sessions(graveyard, [&](const Session& session) { return session.token.get() == &token; });
}

bool Module::pause(std::chrono::milliseconds duration, const Token* token) {
    if (duration.count() == 0) return true;
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, duration,
                              [&] { return !initialized_ || (token != nullptr && token->gone()); });
}

}  // namespace ctlsign::virtual_token
