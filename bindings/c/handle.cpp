#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include <bindings/c/argument.hpp>

namespace ctlsign::c {

namespace {

struct Table {
    std::shared_mutex mutex;
    std::unordered_map<std::uintptr_t, std::shared_ptr<Object>> objects;
    std::uintptr_t last = 0;
};

// Never destroyed: a program may exit with handles open, and no module is finalized from a static destructor.
Table& table() {
    static auto* instance = new Table;
    return *instance;
}

std::uintptr_t number(const void* handle) noexcept {
    return reinterpret_cast<std::uintptr_t>(handle);
}

}  // namespace

void* add_object(std::shared_ptr<Object> object) {
    Table& all = table();
    const std::scoped_lock lock(all.mutex);
    const std::uintptr_t next = all.last + 1;
    all.objects.emplace(next, std::move(object));
    all.last = next;
    return reinterpret_cast<void*>(next);  // NOLINT(performance-no-int-to-ptr): a number, see ctlsign.h
}

std::shared_ptr<Object> find_object(const void* handle) noexcept {
    Table& all = table();
    const std::shared_lock lock(all.mutex);
    const auto found = all.objects.find(number(handle));
    return found == all.objects.end() ? nullptr : found->second;
}

std::shared_ptr<Object> take_object(const void* handle) noexcept {
    Table& all = table();
    const std::scoped_lock lock(all.mutex);
    auto node = all.objects.extract(number(handle));
    return node.empty() ? nullptr : std::move(node.mapped());
}

std::size_t count_objects() noexcept {
    Table& all = table();
    const std::shared_lock lock(all.mutex);
    return all.objects.size();
}

}  // namespace ctlsign::c

using namespace ctlsign::c;

ctlsign_status ctlsign_close(void* handle, ctlsign_error* error) {
    return guarded(error, [&] {
        if (handle == nullptr) return;
        const auto object = take_object(handle);
        if (!object) throw Refusal(CTLSIGN_STATUS_HANDLE, "the handle is not open");
        object->handle_closed();
    });
}

size_t ctlsign_open_handles() {
    return count_objects();
}
