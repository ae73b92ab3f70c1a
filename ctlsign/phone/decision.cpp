#include <algorithm>
#include <array>

#include <ctlsign/phone/decision.hpp>

namespace ctlsign::phone {

namespace {

SignerId signer_of(const TrustList& list) {
    return {std::string(list.signer_name()), std::string(list.signer_issuer()),
            Bytes(list.signer_serial().begin(), list.signer_serial().end())};
}

bool names_same(const SignerId& signer, const TrustList& list) noexcept {
    return signer.name == list.signer_name() && signer.issuer == list.signer_issuer() &&
           equal(signer.serial, list.signer_serial());
}

// A list that waits for its signature is judged by who will make it.
bool is_good(const ctlsign::Verdict& verdict) noexcept {
    return verdict.outcome == ctlsign::Outcome::Verified || verdict.rule == ctlsign::Rule::NotSigned;
}

// Steps that are taken as made, to see what a phone would do then.
struct Made {
    bool sha1 = false, tls10 = false, itl = false;
    friend bool operator==(const Made&, const Made&) = default;
};

// One run of the rules, in their order.
class Judge {
  public:
    Judge(const TrustList& list, ListKind kind, const Device& device,
          std::optional<std::span<const TvsServer>> tvs, std::chrono::sys_seconds now, Made made = {})
        : list_(list),
          kind_(kind),
          device_(device),
          model_(device.model),
          installed_(device.installed),
          tvs_(tvs),
          now_(now),
          made_(made) {
        verdict_.newer_header = list.version() > model_.newest_header;
    }

    Verdict judge() {
        const auto& current = kind_ == ListKind::Ctl ? installed_.ctl : installed_.itl;
        if (current && equal(current->octets(), list_.octets())) return decide(Rule::AlreadyInstalled);
        if (model_.sha1_only && !made_.sha1 && list_.digest() != Digest::Sha1)
            return decide(Rule::DigestUnknown);
        if (!installed_.ctl && !installed_.itl) return decide(Rule::FirstList);

        const bool emptied = installed_.itl && is_rollback_itl(*installed_.itl);
        if (check_installed()) return decide(verdict_.rule);
        // A rollback takes an ITL whoever signed it; a CTL it does not.
        if (emptied && kind_ == ListKind::Itl) return decide(Rule::AfterRollback);
        if (verdict_.signature->rule != ctlsign::Rule::SignerUnknown &&
            verdict_.signature->rule != ctlsign::Rule::HashOnly) {
            return decide(Rule::SignatureRefused);
        }
        const auto by_hash = [this](Rule otherwise) {
            return named_by_hash_ != nullptr ? Rule::HashOnly : otherwise;
        };
        if (model_.security_by_default == false) return decide(by_hash(Rule::NoSecurityByDefault));
        if (const CachedSigner* known = find_cached()) return decide(by_vouched(*known, Rule::CachedSigner));
        if (!installed_.itl && !made_.itl) return decide(by_hash(Rule::NoItl));
        if (emptied && !made_.itl) return decide(by_hash(Rule::EmptiedByRollback));
        if (!tvs_) return decide(Rule::AskTvs);
        return decide(ask(*tvs_));
    }

  private:
    Verdict decide(Rule rule) {
        const bool vouched = rule == Rule::Tvs || rule == Rule::CachedSigner;
        if (vouched && !model_.security_by_default) rule = Rule::ModelUnknown;
        verdict_.rule = rule;
        verdict_.outcome = outcome_of(rule);
        for (const Remedy remedy : remedies(rule)) append_ways(remedy);
        return std::move(verdict_);
    }

    // What REMEDY is for this list and these servers; nothing where it would not help.
    std::optional<Remedy> suited(Remedy remedy) const {
        switch (remedy) {
            case Remedy::SignWithInstalledSast:
                return named_by_hash_ != nullptr ? Remedy::SignWithSastInFull : remedy;
            case Remedy::PutSignerIntoPhoneSastTrust:
                return verdict_.rule == Rule::TvsInvalid && (*tvs_)[*verdict_.server].answer.holds_signer
                           ? Remedy::PutSignerIntoTvsCtl
                           : remedy;
            case Remedy::RestoreItl:  // an ITL is what is refused, or nobody is asked
                if (kind_ == ListKind::Itl || model_.security_by_default == false) return std::nullopt;
                return remedy;
            case Remedy::DeleteListByHand:  // the CTL that is served decides about the ITL that follows it
                return kind_ == ListKind::Itl && installed_.ctl ? Remedy::PublishCtlFirst : remedy;
            default:
                return remedy;
        }
    }

    // REMEDY, and what is needed besides: the phone is judged again as if it were there.
    void append_ways(Remedy remedy) {
        const auto step = suited(remedy);
        if (!step) return;
        Made made = made_;
        made.sha1 = made.sha1 || step == Remedy::SignWithSha1;
        made.tls10 = made.tls10 || step == Remedy::AllowTls10;
        made.itl = made.itl || step == Remedy::RestoreItl;
        if (made == made_) {
            verdict_.ways.push_back({*step});
            return;
        }
        const Verdict then = Judge(list_, kind_, device_, tvs_, now_, made).judge();
        if (then.outcome != Outcome::Refuses) {
            verdict_.ways.push_back({*step});
            return;
        }
        for (const Way& rest : then.ways) {
            if (step != Remedy::SignWithSha1 && helps_alone(rest)) continue;
            Way way{*step};
            way.insert(way.end(), rest.begin(), rest.end());
            verdict_.ways.push_back(std::move(way));
        }
    }

    // Whoever does this needs no TVS.
    static bool helps_alone(const Way& way) {
        const Remedy first = way.front();
        return first == Remedy::SignWithInstalledSast || first == Remedy::SignWithSastInFull ||
               first == Remedy::PublishCtlFirst || first == Remedy::DeleteListByHand;
    }

    // True when a SAST of the CTL, else of the ITL, signed the list. The first that names the signer decides.
    bool check_installed() {
        for (const auto& [installed, rule] : {std::pair(installed_.ctl.get(), Rule::InstalledCtl),
                                              std::pair(installed_.itl.get(), Rule::InstalledItl)}) {
            if (installed == nullptr) continue;
            verdict_.rule = rule;
            verdict_.signature = verify(list_, {{installed, 1}, {}}, now_);
            if (verdict_.signature->rule == ctlsign::Rule::SignerUnknown) continue;
            if (verdict_.signature->rule == ctlsign::Rule::HashOnly) named_by_hash_ = installed;
            return is_good(*verdict_.signature);
        }
        return false;
    }

    const CachedSigner* find_cached() const {
        const auto found = std::ranges::find_if(installed_.cache, [&](const CachedSigner& one) {
            return one.expires > now_ && names_same(one.signer, list_);
        });
        return found == installed_.cache.end() ? nullptr : &*found;
    }

    // The signature under a certificate that TVS vouches for; the hash of an installed record must be its.
    Rule by_vouched(const CachedSigner& known, Rule fits) {
        std::span<const TrustList> naming{};
        if (named_by_hash_ != nullptr) naming = {named_by_hash_, 1};
        verdict_.signature = verify(list_, {naming, {&known.certificate, 1}}, now_);
        switch (verdict_.signature->rule) {
            case ctlsign::Rule::SignatureFits:
            case ctlsign::Rule::NotSigned:
                return fits;
            case ctlsign::Rule::SignerUnknown:
            case ctlsign::Rule::HashOnly:
                return Rule::TvsCertificateUnfit;
            default:
                return Rule::SignatureRefused;
        }
    }

    // The servers in turn. One that cannot be asked leaves its reason, and the word to the next; of several
    // reasons the one that came furthest counts.
    Rule ask(std::span<const TvsServer> servers) {
        Rule reason = Rule::TvsDown;
        for (std::size_t i = 0; i < servers.size(); ++i) {
            const TvsServer& server = servers[i];
            if (server.state == TvsServer::State::Down) continue;
            if (server.state == TvsServer::State::NotKnown) {
                verdict_.server = i;
                return Rule::TvsUnknown;
            }
            const bool too_new = model_.tls10_only && !made_.tls10 && !server.speaks_tls10;
            if (too_new || (!made_.itl && !installed_.trusts_tvs(server.certificate))) {
                const Rule failed = too_new ? Rule::TvsTlsTooNew : Rule::TvsNotTrusted;
                if (failed > reason) {
                    reason = failed;
                    verdict_.server = i;
                }
                continue;
            }
            verdict_.server = i;
            return heed(server.answer);
        }
        return reason;
    }

    Rule heed(const TvsAnswer& answer) {
        if (!answer.certificate) return Rule::TvsInvalid;
        if (std::ranges::find(answer.roles, Role::Sast) == answer.roles.end()) return Rule::TvsNotSast;
        const CachedSigner signer{signer_of(list_), *answer.certificate, now_ + answer.ttl, answer.ttl};
        const Rule rule = by_vouched(signer, Rule::Tvs);
        if (rule == Rule::Tvs) verdict_.learned = signer;
        return rule;
    }

    const TrustList& list_;
    const ListKind kind_;
    const Device& device_;
    const Model& model_;
    const Installed& installed_;
    const std::optional<std::span<const TvsServer>> tvs_;
    const std::chrono::sys_seconds now_;
    const Made made_;
    const TrustList* named_by_hash_ = nullptr;  // the installed list whose record of the signer is a hash
    Verdict verdict_{};
};

}  // namespace

Verdict decide(const TrustList& list, ListKind kind, const Device& device,
               std::optional<std::span<const TvsServer>> tvs, std::chrono::sys_seconds now) {
    return Judge(list, kind, device, tvs, now).judge();
}

}  // namespace ctlsign::phone
