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

// One run of the rules, in their order.
class Judge {
  public:
    Judge(const TrustList& list, ListKind kind, const Device& device, std::chrono::sys_seconds now)
        : list_(list), kind_(kind), model_(device.model), installed_(device.installed), now_(now) {
        verdict_.newer_header = list.version() > model_.newest_header;
    }

    Verdict judge(std::optional<std::span<const TvsServer>> tvs) {
        const auto& current = kind_ == ListKind::Ctl ? installed_.ctl : installed_.itl;
        if (current && equal(current->octets(), list_.octets())) return decide(Rule::AlreadyInstalled);
        if (model_.sha1_only && list_.digest() != Digest::Sha1) return decide(Rule::DigestUnknown);
        if (!installed_.ctl && !installed_.itl) return decide(Rule::FirstList);

        const bool emptied = installed_.itl && is_rollback_itl(*installed_.itl);
        if (check_installed()) return decide(verdict_.rule);
        // A rollback takes an ITL whoever signed it; a CTL it does not.
        if (emptied && kind_ == ListKind::Itl) return decide(Rule::AfterRollback);
        if (verdict_.signature->rule != ctlsign::Rule::SignerUnknown &&
            verdict_.signature->rule != ctlsign::Rule::HashOnly) {
            return decide(Rule::SignatureRefused);
        }
        if (model_.security_by_default == false) return decide(Rule::NoSecurityByDefault);
        if (const CachedSigner* known = find_cached()) return decide(by_vouched(*known, Rule::CachedSigner));
        if (!installed_.itl) return decide(Rule::NoItl);
        if (emptied) return decide(Rule::EmptiedByRollback);
        if (!tvs) return decide(Rule::AskTvs);
        return decide(ask(*tvs));
    }

  private:
    Verdict decide(Rule rule) {
        const bool vouched = rule == Rule::Tvs || rule == Rule::CachedSigner;
        if (vouched && !model_.security_by_default) rule = Rule::ModelUnknown;
        verdict_.rule = rule;
        verdict_.outcome = outcome_of(rule);
        return std::move(verdict_);
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
            const bool too_new = model_.tls10_only && !server.speaks_tls10;
            if (too_new || !installed_.trusts_tvs(server.certificate)) {
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
    const Model& model_;
    const Installed& installed_;
    const std::chrono::sys_seconds now_;
    const TrustList* named_by_hash_ = nullptr;  // the installed list whose record of the signer is a hash
    Verdict verdict_{};
};

}  // namespace

Verdict decide(const TrustList& list, ListKind kind, const Device& device,
               std::optional<std::span<const TvsServer>> tvs, std::chrono::sys_seconds now) {
    return Judge(list, kind, device, now).judge(tvs);
}

}  // namespace ctlsign::phone
