#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include <ctlsign/phone/preflight.hpp>

namespace ctlsign::phone {

namespace {

// The index of VALUE among those met before.
template <typename Value>
std::uint32_t intern(std::vector<Value>& met, const Value& value) {
    const auto at = std::ranges::find(met, value);
    if (at == met.end()) {
        met.push_back(value);
        return static_cast<std::uint32_t>(met.size() - 1);
    }
    return static_cast<std::uint32_t>(at - met.begin());
}

// What is not known of a phone: which list it is that it has, or whether it has one.
struct Unknown {
    bool ctl = false, itl = false;
};

// Whether a phone that is judged as if it had none of those lists is judged so whatever they are.
bool holds_whatever_they_are(Rule rule, ListKind kind, Unknown unknown) noexcept {
    switch (rule) {
        case Rule::DigestUnknown:
            return true;
        case Rule::AlreadyInstalled:
            return kind == ListKind::Ctl ? !unknown.ctl : !unknown.itl;
        case Rule::AfterRollback:
            return !unknown.itl;
        case Rule::InstalledCtl:
            return !unknown.ctl;
        case Rule::SignatureRefused:  // by the CTL; an emptied ITL would have another ITL taken all the same
            return !unknown.ctl && (kind == ListKind::Ctl || !unknown.itl);
        default:
            return !unknown.ctl && !unknown.itl;
    }
}

class Sorter {
  public:
    Sorter(const TrustList& list, ListKind kind, const KnownLists& known, const ModelTable& models,
           const TvsOf& tvs, std::chrono::sys_seconds now)
        : list_(list), kind_(kind), known_(known), table_(models), tvs_of_(tvs), now_(now) {}

    std::uint32_t group_of(const Traits& traits, std::uint32_t index, std::vector<Preflight::Group>& groups) {
        const std::uint32_t model = model_of(traits);
        const std::uint32_t tvs = tvs_servers_of(traits);
        const auto [at, fresh] = groups_.try_emplace(Key{model, traits.ctl, traits.itl, tvs},
                                                     static_cast<std::uint32_t>(groups.size()));
        if (fresh)
            groups.push_back({decide_for(traits, models_[model], tvs_[tvs]), models_[model], index, 0});
        return at->second;
    }

  private:
    using Key = std::tuple<std::uint32_t, std::string, std::string, std::uint32_t>;

    std::uint32_t model_of(const Traits& traits) {
        const auto [at, fresh] = model_names_.try_emplace({traits.model, traits.firmware}, 0U);
        if (fresh) at->second = intern(models_, table_.find(traits.model, traits.firmware));
        return at->second;
    }

    std::uint32_t tvs_servers_of(const Traits& traits) {
        const auto [at, fresh] = tvs_names_.try_emplace({traits.pool, traits.tvs}, 0U);
        if (fresh) {
            // Pools with the same servers are one.
            auto servers = tvs_of_(traits);
            const auto same = std::ranges::find_if(tvs_, [&](const std::vector<TvsServer>& met) {
                return std::ranges::equal(met, servers, [](const TvsServer& a, const TvsServer& b) {
                    return a.state == b.state && a.speaks_tls10 == b.speaks_tls10 &&
                           a.certificate == b.certificate && a.answer.certificate == b.answer.certificate &&
                           a.answer.roles == b.answer.roles && a.answer.holds_signer == b.answer.holds_signer;
                });
            });
            at->second = static_cast<std::uint32_t>(same - tvs_.begin());
            if (same == tvs_.end()) tvs_.push_back(std::move(servers));
        }
        return at->second;
    }

    Verdict decide_for(const Traits& traits, const Model& model, const std::vector<TvsServer>& tvs) const {
        const KnownLists::Entry* ctl = known_.find(traits.ctl);
        const KnownLists::Entry* itl = known_.find(traits.itl);
        const Unknown unknown{ctl == nullptr && !traits.ctl.empty(), itl == nullptr && !traits.itl.empty()};
        const Device device{model, {ctl ? ctl->list : nullptr, itl ? itl->list : nullptr, {}}};
        Verdict verdict = decide(list_, kind_, device, tvs, now_);
        if (holds_whatever_they_are(verdict.rule, kind_, unknown)) {
            // What is needed besides depends on what it has.
            const bool some_unknown = unknown.ctl || unknown.itl;
            if (some_unknown && verdict.rule == Rule::DigestUnknown) verdict.ways = {{Remedy::SignWithSha1}};
            return verdict;
        }
        Verdict nobody_knows;
        nobody_knows.rule = Rule::ListsUnknown;
        nobody_knows.ways = {{Remedy::FindLists}};
        return nobody_knows;
    }

    const TrustList& list_;
    const ListKind kind_;
    const KnownLists& known_;
    const ModelTable& table_;
    const TvsOf& tvs_of_;
    const std::chrono::sys_seconds now_;
    std::vector<Model> models_;
    std::vector<std::vector<TvsServer>> tvs_;
    std::map<std::pair<std::string, std::string>, std::uint32_t> model_names_, tvs_names_;
    std::map<Key, std::uint32_t> groups_;
};

}  // namespace

Preflight preflight(const Inventory& inventory, const TrustList& list, ListKind kind, const KnownLists& known,
                    const ModelTable& models, const TvsOf& tvs, std::chrono::sys_seconds now) {
    Preflight result;
    Sorter sorter(list, kind, known, models, tvs, now);
    for (const Traits& traits : inventory.traits()) {
        const auto index = static_cast<std::uint32_t>(result.group_of.size());
        result.group_of.push_back(sorter.group_of(traits, index, result.groups));
    }
    for (const Inventory::Phone& phone : inventory.phones()) {
        Preflight::Group& group = result.groups[result.group_of[phone.traits]];
        ++group.count;
        if (!group.model.listed) ++result.unlisted_models;
    }
    return result;
}

std::size_t Preflight::count(Outcome outcome) const noexcept {
    std::size_t phones = 0;
    for (const Group& group : groups) {
        if (group.verdict.outcome == outcome) phones += group.count;
    }
    return phones;
}

std::map<Rule, std::size_t> Preflight::by_rule() const {
    std::map<Rule, std::size_t> counts;
    for (const Group& group : groups) {
        if (group.count > 0) counts[group.verdict.rule] += group.count;
    }
    return counts;
}

std::map<Way, std::size_t> Preflight::ways() const {
    std::map<Way, std::size_t> counts;
    for (const Group& group : groups) {
        if (group.count == 0) continue;
        for (const Way& way : group.verdict.ways) counts[way] += group.count;
    }
    return counts;
}

}  // namespace ctlsign::phone
