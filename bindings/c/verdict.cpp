#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <bindings/c/file.hpp>
#include <ctlsign/files/certificates.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <ctlsign/trustlist/verify.hpp>

using namespace ctlsign;
using namespace ctlsign::c;

struct ctlsign_anchors : Object {
    std::mutex mutex;
    std::vector<TrustList> installed;
    std::vector<sast::Certificate> certificates;
};

struct ctlsign_verdict : Object {
    explicit ctlsign_verdict(Verdict given) : verdict(std::move(given)), text(to_text(verdict)) {
        for (const Warning& warning : verdict.warnings) warnings.push_back(to_text(warning));
    }
    Verdict verdict;
    std::string text;
    std::vector<std::string> warnings;
};

namespace {

static_assert(CTLSIGN_OUTCOME_VERIFIED == static_cast<int>(Outcome::Verified) &&
              CTLSIGN_OUTCOME_REFUSED == static_cast<int>(Outcome::Refused) &&
              CTLSIGN_OUTCOME_KEY_NOT_HERE == static_cast<int>(Outcome::KeyNotHere));
static_assert(CTLSIGN_BASIS_FILE_ITSELF == static_cast<int>(Basis::FileItself) &&
              CTLSIGN_BASIS_CERTIFICATE == static_cast<int>(Basis::Certificate) &&
              CTLSIGN_BASIS_INSTALLED_LIST == static_cast<int>(Basis::InstalledList));

long number(const std::optional<std::size_t>& index) noexcept {
    return index ? static_cast<long>(*index) : -1;
}

}  // namespace

ctlsign_status ctlsign_anchors_open(ctlsign_anchors** anchors, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(anchors, "anchors");
        out = open_handle(std::make_shared<ctlsign_anchors>());
    });
}

ctlsign_status ctlsign_anchors_add_list(ctlsign_anchors* anchors, ctlsign_file* list, ctlsign_error* error) {
    return guarded(error, [&] {
        const auto object = get_object(anchors);
        TrustList copy = decode_list(get_object(list)->list().octets());
        const std::scoped_lock lock(object->mutex);
        object->installed.push_back(std::move(copy));
    });
}

ctlsign_status ctlsign_anchors_add_certificates(ctlsign_anchors* anchors, ctlsign_view certificates,
                                                ctlsign_error* error) {
    return guarded(error, [&] {
        const auto object = get_object(anchors);
        auto added = decode_certificates(octets(certificates, "certificates.data"), "certificates");
        const std::scoped_lock lock(object->mutex);
        object->certificates.insert(object->certificates.end(), added.begin(), added.end());
    });
}

ctlsign_status ctlsign_file_verify(ctlsign_file* file, ctlsign_anchors* anchors, int64_t now,
                                   ctlsign_verdict** verdict, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(verdict, "verdict");
        const auto object = get_object(file);
        const auto trusted = anchors == nullptr ? std::make_shared<ctlsign_anchors>() : get_object(anchors);
        const auto time = time_of(now);
        const std::scoped_lock lock(trusted->mutex);
        const TrustAnchors basis{trusted->installed, trusted->certificates};
        out = open_handle(std::make_shared<ctlsign_verdict>(
            std::visit([&](const auto& content) { return verify(content, basis, time); }, object->content)));
    });
}

ctlsign_status ctlsign_verdict_get(ctlsign_verdict* verdict, ctlsign_verdict_info* info,
                                   ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(info, "info");
        const auto object = get_object(verdict);
        const Verdict& known = object->verdict;
        ctlsign_verdict_info filled{};
        filled.outcome = static_cast<ctlsign_outcome>(known.outcome);
        filled.basis = static_cast<ctlsign_basis>(known.basis);
        filled.trusted = known.trusted() ? 1 : 0;
        filled.rule = to_text(known.rule).data();  // a literal
        filled.text = object->text.c_str();
        filled.signer_name = view(std::string_view(known.signer.name));
        filled.signer_issuer = view(std::string_view(known.signer.issuer));
        filled.signer_serial = view(known.signer.serial);
        filled.list = number(known.list);
        filled.record = number(known.record);
        filled.certificate = number(known.certificate);
        filled.warning_count = known.warnings.size();
        out.write(filled);
    });
}

ctlsign_status ctlsign_verdict_get_warning(ctlsign_verdict* verdict, size_t index, ctlsign_warning* warning,
                                           ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(warning, "warning");
        const auto object = get_object(verdict);
        const Warning& known = element(std::span(std::as_const(object->verdict.warnings)), index);
        ctlsign_warning filled{};
        filled.caution = to_text(known.caution).data();  // a literal
        filled.text = object->warnings[index].c_str();
        filled.record = number(known.record);
        filled.value = known.value;
        out.write(filled);
    });
}
