#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <utility>

#include <ctlsign/trustlist/diff.hpp>
#include <ctlsign/trustlist/text.hpp>

namespace ctlsign {

namespace {

template <typename T>
std::string text_of(const std::optional<T>& value) {
    if (!value) return {};
    if constexpr (std::is_same_v<T, std::string_view>) {
        return value->empty() ? "\"\"" : printable(*value);
    } else if constexpr (std::is_same_v<T, ByteView>) {
        return to_hex(*value, ":");
    } else if constexpr (std::is_same_v<T, Role>) {
        return role_name(*value);
    } else {
        return std::string(to_text(*value));
    }
}

// Of long values their SHA-1, as show prints it.
std::string fingerprint(const std::optional<ByteView>& value) {
    if (!value) return {};
    const std::array<ByteView, 1> parts{*value};
    return "SHA-1 " + to_hex(compute_digest(Digest::Sha1, parts), " ");
}

void note(std::vector<FieldChange>& changes, std::string field, std::string before, std::string after) {
    if (before != after) changes.push_back({std::move(field), std::move(before), std::move(after)});
}

std::vector<FieldChange> diff_fields(const Record& a, const Record& b) {
    std::vector<FieldChange> changes;
    note(changes, "role", text_of(a.role()), text_of(b.role()));
    note(changes, "dns-name", text_of(a.dns_name()), text_of(b.dns_name()));
    note(changes, "ip-address", text_of(a.ip_address()), text_of(b.ip_address()));
    note(changes, "subject", text_of(a.subject()), text_of(b.subject()));
    note(changes, "issuer", text_of(a.issuer()), text_of(b.issuer()));
    note(changes, "serial", text_of(a.serial()), text_of(b.serial()));
    note(changes, "public-key", fingerprint(a.public_key()), fingerprint(b.public_key()));
    note(changes, "certificate", fingerprint(a.certificate()), fingerprint(b.certificate()));
    note(changes, "certificate-signature", fingerprint(a.signature()), fingerprint(b.signature()));
    note(changes, "certificate-hash", text_of(a.certificate_hash()), text_of(b.certificate_hash()));
    note(changes, "hash-algorithm", text_of(a.hash_algorithm()), text_of(b.hash_algorithm()));
    if (changes.empty()) note(changes, "elements", fingerprint(a.octets()), fingerprint(b.octets()));
    return changes;
}

std::string describe(const Record& record) {
    std::string text = record.role() ? role_name(*record.role()) : "no role";
    if (record.dns_name() && !record.dns_name()->empty()) return text + ' ' + printable(*record.dns_name());
    if (record.subject()) return text + ' ' + printable(*record.subject());
    return text;
}

using Likeness = bool (*)(const Record&, const Record&);

bool same_octets(const Record& a, const Record& b) {
    return equal(a.octets(), b.octets());
}
bool same_holder(const Record& a, const Record& b) {
    return a.role() == b.role() && a.serial() && b.serial() && equal(*a.serial(), *b.serial()) &&
           a.issuer() == b.issuer();
}
bool same_place(const Record& a, const Record& b) {
    return a.role() == b.role() && a.dns_name() && a.dns_name() == b.dns_name() && !a.dns_name()->empty();
}

struct Pairs {
    std::vector<std::optional<std::size_t>> after_of;  // for each record of the list before
    std::vector<bool> taken;                           // for each record of the list after
};

// The most alike first, so that a record that only moved is never taken for a changed one.
Pairs pair_up(std::span<const Record> before, std::span<const Record> after) {
    Pairs pairs{std::vector<std::optional<std::size_t>>(before.size()), std::vector<bool>(after.size())};
    for (const Likeness alike : {same_octets, same_holder, same_place}) {
        for (std::size_t i = 0; i < before.size(); ++i) {
            for (std::size_t j = 0; j < after.size() && !pairs.after_of[i]; ++j) {
                if (pairs.taken[j] || !alike(before[i], after[j])) continue;
                pairs.after_of[i] = j;
                pairs.taken[j] = true;
            }
        }
    }
    return pairs;
}

std::vector<RecordChange> diff_records(const TrustList& before, const TrustList& after, const Pairs& pairs) {
    std::vector<RecordChange> changes;
    for (std::size_t i = 0; i < before.records().size(); ++i) {
        const Record& old = before.records()[i];
        if (!pairs.after_of[i]) {
            changes.push_back({Change::Removed, i, std::nullopt, describe(old), {}});
            continue;
        }
        const Record& now = after.records()[*pairs.after_of[i]];
        if (same_octets(old, now)) continue;
        changes.push_back({Change::Changed, i, pairs.after_of[i], describe(old), diff_fields(old, now)});
    }
    for (std::size_t j = 0; j < after.records().size(); ++j) {
        if (pairs.taken[j]) continue;
        changes.push_back({Change::Added, std::nullopt, j, describe(after.records()[j]), {}});
    }
    return changes;
}

std::vector<const Record*> signers_of(const TrustList& list) {
    std::vector<const Record*> signers;
    for (const Record& record : list.records()) {
        const auto is_same = [&](const Record* other) { return same_holder(*other, record); };
        if (record.role() == Role::Sast && std::ranges::none_of(signers, is_same)) signers.push_back(&record);
    }
    return signers;
}

std::vector<SignerChange> diff_signers(const TrustList& before, const TrustList& after) {
    std::vector<SignerChange> changes;
    const auto add = [&](Change change, const Record& record) {
        changes.push_back(
            {change, text_of(record.subject()), text_of(record.issuer()), text_of(record.serial())});
    };
    const auto old_signers = signers_of(before);
    const auto new_signers = signers_of(after);
    const auto find_in = [](const std::vector<const Record*>& signers,
                            const Record& wanted) -> const Record* {
        const auto found =
            std::ranges::find_if(signers, [&](const Record* r) { return same_holder(*r, wanted); });
        return found == signers.end() ? nullptr : *found;
    };
    for (const Record* old : old_signers) {
        const Record* now = find_in(new_signers, *old);
        if (now == nullptr) {
            add(Change::Removed, *old);
        } else if (fingerprint(old->public_key()) != fingerprint(now->public_key())) {
            add(Change::Changed, *now);
        }
    }
    for (const Record* now : new_signers) {
        if (find_in(old_signers, *now) == nullptr) add(Change::Added, *now);
    }
    return changes;
}

std::vector<FieldChange> diff_headers(const TrustList& a, const TrustList& b) {
    std::vector<FieldChange> changes;
    note(changes, "version", to_text(a.version()), to_text(b.version()));
    note(changes, "signer-version", text_of(a.signer_version()), text_of(b.signer_version()));
    note(changes, "signer", printable(a.signer_name()), printable(b.signer_name()));
    note(changes, "signer-issuer", printable(a.signer_issuer()), printable(b.signer_issuer()));
    note(changes, "signer-serial", to_hex(a.signer_serial(), ":"), to_hex(b.signer_serial(), ":"));
    note(changes, "digest", std::string(to_text(a.digest())), std::string(to_text(b.digest())));
    note(changes, "key-bits", fmt::format("{}", a.key_bits()), fmt::format("{}", b.key_bits()));
    note(changes, "filename", printable(a.filename()), printable(b.filename()));
    note(changes, "timestamp", format_utc(a.timestamp()), format_utc(b.timestamp()));
    return changes;
}

}  // namespace

std::string_view to_text(Change change) noexcept {
    switch (change) {
        case Change::Added:
            return "added";
        case Change::Removed:
            return "removed";
        case Change::Changed:
            return "changed";
    }
    return "";
}

ListDifference diff(const TrustList& before, const TrustList& after) {
    const Pairs pairs = pair_up(before.records(), after.records());
    ListDifference difference{diff_headers(before, after), diff_records(before, after, pairs),
                              diff_signers(before, after)};
    std::vector<std::size_t> order;
    for (const auto& j : pairs.after_of) {
        if (j) order.push_back(*j + 1);
    }
    if (!std::ranges::is_sorted(order)) {
        std::vector<std::size_t> sorted = order;
        std::ranges::sort(sorted);
        note(difference.header, "order of records", fmt::format("{}", fmt::join(sorted, " ")),
             fmt::format("{}", fmt::join(order, " ")));
    }
    if (!difference.empty()) return difference;
    const auto parts = [](const TrustList& list) {
        Bytes octets;
        for (const ByteView part : list.signed_parts()) octets.insert(octets.end(), part.begin(), part.end());
        return octets;
    };
    note(difference.header, "elements", fingerprint(parts(before)), fingerprint(parts(after)));
    // A list that waits for its signature differs in nothing else.
    if (!before.signature().empty() && !after.signature().empty())
        note(difference.header, "signature", fingerprint(before.signature()), fingerprint(after.signature()));
    return difference;
}

std::string to_text(const ListDifference& difference) {
    std::string text;
    const auto out = std::back_inserter(text);
    const auto shown = [](const std::string& value) { return value.empty() ? std::string("(none)") : value; };
    const auto sign = [](Change change) {
        return change == Change::Added ? '+' : change == Change::Removed ? '-' : '~';
    };
    for (const FieldChange& field : difference.header)
        fmt::format_to(out, "~ {}: {} -> {}\n", field.field, shown(field.before), shown(field.after));
    for (const SignerChange& signer : difference.signers)
        fmt::format_to(out, "{} signer {}, issuer {}, serial {}{}\n", sign(signer.change), signer.subject,
                       signer.issuer, signer.serial, signer.change == Change::Changed ? ": another key" : "");
    for (const RecordChange& record : difference.records) {
        fmt::format_to(out, "{} record {}: {}\n", sign(record.change),
                       (record.before ? *record.before : *record.after) + 1, record.what);
        for (const FieldChange& field : record.fields)
            fmt::format_to(out, "    {}: {} -> {}\n", field.field, shown(field.before), shown(field.after));
    }
    return text;
}

}  // namespace ctlsign
