#include <optional>
#include <string_view>

#include <bindings/c/file.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/trustlist/show.hpp>
#include <ctlsign/trustlist/verify.hpp>
#include <pkcs11/store.hpp>

using namespace ctlsign;
using namespace ctlsign::c;

namespace {

const SignedFile& header_of(const ctlsign_file& file) {
    return std::visit([](const auto& content) -> const SignedFile& { return content; }, file.content);
}

std::span<const Element> elements_of(const ctlsign_file& file, std::size_t record) {
    if (record == CTLSIGN_HEADER) return header_of(file).header();
    return element(file.list().records(), record).elements();
}

}  // namespace

const TrustList& ctlsign_file::list() const {
    const auto* found = std::get_if<TrustList>(&content);
    if (found == nullptr) refuse_argument("the file is a .sgn file, not a trust list");
    return *found;
}

std::chrono::sys_seconds ctlsign::c::time_of(std::int64_t seconds) {
    if (seconds != CTLSIGN_TIME_DEFAULT) return std::chrono::sys_seconds(std::chrono::seconds(seconds));
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

ctlsign_status ctlsign_file_decode(ctlsign_view octets, ctlsign_file** file, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(file, "file");
        const ByteView given = c::octets(octets, "octets.data");
        out = open_handle(std::make_shared<ctlsign_file>(decode_any(Bytes(given.begin(), given.end()))));
    });
}

ctlsign_status ctlsign_file_load(const char* path, ctlsign_file** file, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(file, "file");
        auto loaded = load_file(text(path, "path"), kMaxFileSize);
        out = open_handle(std::make_shared<ctlsign_file>(decode_any(std::move(loaded.bytes))));
    });
}

ctlsign_status ctlsign_store(const char* path, ctlsign_view octets, ctlsign_error* error) {
    return guarded(error, [&] { store_file(text(path, "path"), c::octets(octets, "octets.data")); });
}

ctlsign_status ctlsign_file_get_header(ctlsign_file* file, ctlsign_header* header, ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(header, "header");
        const auto object = get_object(file);
        const SignedFile& known = header_of(*object);
        const auto signer_version = known.signer_version();
        ctlsign_header filled{};
        filled.version_major = known.version().major;
        filled.version_minor = known.version().minor;
        filled.signer_version_major = signer_version ? signer_version->major : -1;
        filled.signer_version_minor = signer_version ? signer_version->minor : -1;
        filled.signer_name = view(known.signer_name());
        filled.signer_issuer = view(known.signer_issuer());
        filled.signer_serial = view(known.signer_serial());
        filled.digest = static_cast<ctlsign_digest>(known.digest());
        filled.key_bits = known.key_bits();
        filled.signature = view(known.signature());
        filled.filename = view(known.filename());
        filled.timestamp = known.timestamp();
        filled.header_length = known.header_length();
        filled.octets = view(known.octets());
        if (const auto* list = std::get_if<TrustList>(&object->content)) {
            filled.kind = CTLSIGN_FILE_LIST;
            filled.record_count = list->records().size();
        } else {
            filled.kind = CTLSIGN_FILE_SGN;
            filled.payload = view(std::get<SgnFile>(object->content).payload());
        }
        out.write(filled);
    });
}

ctlsign_status ctlsign_file_get_record(ctlsign_file* file, size_t index, ctlsign_record* record,
                                       ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(record, "record");
        const auto object = get_object(file);
        const TrustList& list = object->list();
        const Record& known = element(list.records(), index);
        ctlsign_record filled{};
        filled.position = known.position();
        filled.role = known.role() ? static_cast<int>(*known.role()) : -1;
        filled.dns_name = view(known.dns_name());
        filled.subject = view(known.subject());
        filled.issuer = view(known.issuer());
        filled.serial = view(known.serial());
        filled.public_key = view(known.public_key());
        filled.signature = view(known.signature());
        filled.certificate = view(known.certificate());
        filled.ip_address = view(known.ip_address());
        filled.certificate_hash = view(known.certificate_hash());
        filled.hash_algorithm = known.hash_algorithm() ? static_cast<int>(*known.hash_algorithm()) : 0;
        filled.is_signer = is_signer(known, list) ? 1 : 0;
        filled.octets = view(known.octets());
        out.write(filled);
    });
}

ctlsign_status ctlsign_file_count_elements(ctlsign_file* file, size_t record, size_t* count,
                                           ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(count, "count");
        out = elements_of(*get_object(file), record).size();
    });
}

ctlsign_status ctlsign_file_get_element(ctlsign_file* file, size_t record, size_t index,
                                        ctlsign_element* element, ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(element, "element");
        const auto object = get_object(file);
        const Element& known = c::element(elements_of(*object, record), index);
        ctlsign_element filled{};
        filled.tag = known.tag;
        filled.depth = known.depth;
        filled.position = known.position;
        // Both are literals, which end in a NUL.
        filled.name = record == CTLSIGN_HEADER ? to_text(HeaderTag{known.tag}).data()
                                               : to_text(RecordTag{known.tag}).data();
        filled.value = view(known.value);
        out.write(filled);
    });
}

ctlsign_status ctlsign_file_show(ctlsign_file* file, const char* modified, ctlsign_bytes* text,
                                 ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(text, "text");
        const auto object = get_object(file);
        std::optional<std::string_view> time;
        if (modified != nullptr) time = modified;
        const auto shown = std::visit(
            [&](const auto& content) {
                return show(content, verify(content, {}, time_of(CTLSIGN_TIME_DEFAULT)), time);
            },
            object->content);
        out = Copy(shown).release();
    });
}
