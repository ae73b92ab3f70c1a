#include <algorithm>
#include <array>
#include <utility>

#include <ctlsign/phone/device.hpp>

namespace ctlsign::phone {

namespace {

bool is_tftp(const Record& record) noexcept {
    return record.role() == Role::Tftp || record.role() == Role::CcmTftp;
}

bool holds_certificate(const Record& record) noexcept {
    return record.certificate() || record.certificate_hash();
}

}  // namespace

void Installed::take(std::shared_ptr<const TrustList> list, ListKind kind) {
    (kind == ListKind::Ctl ? ctl : itl) = std::move(list);
    cache.clear();
}

bool Installed::trusts_tvs(const sast::Certificate& certificate) const {
    if (!itl) return false;
    return std::ranges::any_of(itl->records(), [&](const Record& record) {
        if (record.role() != Role::Tvs) return false;
        if (record.certificate()) return equal(*record.certificate(), certificate.der());
        const auto hash = record.certificate_hash();
        const auto algorithm = record.hash_algorithm();
        const std::array<ByteView, 1> whole{certificate.der()};
        return hash && algorithm && equal(*hash, compute_digest(*algorithm, whole));
    });
}

bool is_rollback_itl(const TrustList& itl) noexcept {
    return std::ranges::none_of(itl.records(), [](const Record& record) {
        return (is_tftp(record) || record.role() == Role::Tvs) && holds_certificate(record);
    });
}

Registration registration_of(const TrustList& ctl) noexcept {
    const bool certificate = std::ranges::any_of(
        ctl.records(), [](const Record& record) { return is_tftp(record) && holds_certificate(record); });
    return certificate ? Registration::Signed : Registration::Unsecured;
}

}  // namespace ctlsign::phone
