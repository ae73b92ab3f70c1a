#include <fmt/format.h>

#include <array>

#include <ctlsign/phone/decision.hpp>

namespace ctlsign::phone {

namespace {

struct RuleInfo {
    Rule rule;
    unsigned step;
    std::string_view name, description;
    std::array<Remedy, 3> remedies;
    std::size_t remedy_count;
};

template <typename... Remedies>
constexpr RuleInfo row(Rule rule, unsigned step, std::string_view name, std::string_view description,
                       Remedies... remedies) {
    return {rule, step, name, description, {remedies...}, sizeof...(remedies)};
}

// In the order of Rule.
constexpr std::array kRules{
    row(Rule::AlreadyInstalled, 0, "already-installed", "it has this very list"),
    row(Rule::FirstList, 1, "first-list", "nothing is installed: the first list is taken on faith"),
    row(Rule::InstalledCtl, 2, "installed-ctl", "a SAST of its CTL signed it"),
    row(Rule::InstalledItl, 2, "installed-itl", "a SAST of its ITL signed it"),
    row(Rule::CachedSigner, 3, "cached-signer", "TVS has vouched for the signer less than a day ago"),
    row(Rule::Tvs, 3, "tvs", "TVS vouches for the signer"),
    row(Rule::AfterRollback, 6, "after-rollback", "its ITL was emptied for a rollback: it takes any ITL"),
    row(Rule::DigestUnknown, 4, "digest-unknown", "the model knows no digest but SHA-1",
        Remedy::SignWithSha1),
    row(Rule::SignatureRefused, 2, "signature-refused", "the signer is known, and the signature is not good",
        Remedy::SignWithInstalledSast, Remedy::DeleteListByHand),
    row(Rule::HashOnly, 6, "hash-only",
        "its lists hold a hash of the signer, which gives no key, and it cannot ask TVS for the certificate",
        Remedy::SignWithSastInFull, Remedy::RestoreItl, Remedy::DeleteListByHand),
    row(Rule::NoSecurityByDefault, 5, "no-security-by-default",
        "its lists do not know the signer, and the model does not ask TVS", Remedy::SignWithInstalledSast,
        Remedy::DeleteListByHand),
    row(Rule::NoItl, 3, "no-itl",
        "its CTL does not know the signer, and without an ITL it trusts no TVS server",
        Remedy::SignWithInstalledSast, Remedy::RestoreItl, Remedy::DeleteListByHand),
    row(Rule::EmptiedByRollback, 6, "emptied-by-rollback",
        "its lists do not know the signer, and its ITL was emptied for a rollback: no TVS certificate is "
        "left",
        Remedy::SignWithInstalledSast, Remedy::RestoreItl, Remedy::DeleteListByHand),
    row(Rule::TvsDown, 4, "tvs-down", "its lists give no key of the signer, and no TVS server answers",
        Remedy::RestoreTvs, Remedy::SignWithInstalledSast, Remedy::DeleteListByHand),
    row(Rule::TvsTlsTooNew, 4, "tvs-tls-too-new",
        "its lists give no key of the signer, and TVS does not speak its TLS 1.0", Remedy::AllowTls10,
        Remedy::SignWithInstalledSast, Remedy::DeleteListByHand),
    row(Rule::TvsNotTrusted, 3, "tvs-not-trusted",
        "its lists give no key of the signer, and its ITL does not hold the certificate of TVS",
        Remedy::SignWithInstalledSast, Remedy::RestoreItl, Remedy::DeleteListByHand),
    row(Rule::TvsInvalid, 4, "tvs-invalid", "TVS says that the signer is not valid",
        Remedy::PutSignerIntoPhoneSastTrust, Remedy::SignWithInstalledSast, Remedy::DeleteListByHand),
    row(Rule::TvsNotSast, 4, "tvs-not-sast", "TVS knows the signer, and not as a SAST",
        Remedy::PutSignerIntoPhoneSastTrust, Remedy::SignWithInstalledSast, Remedy::DeleteListByHand),
    row(Rule::TvsCertificateUnfit, 4, "tvs-certificate-unfit",
        "what TVS returns is not the signer's certificate", Remedy::PutSignerIntoPhoneSastTrust,
        Remedy::SignWithInstalledSast, Remedy::DeleteListByHand),
    row(Rule::AskTvs, 3, "ask-tvs", "it asks TVS", Remedy::RestoreTvs),
    row(Rule::TvsUnknown, 3, "tvs-unknown", "it asks TVS, and its TVS servers are not among those known",
        Remedy::ListTvs, Remedy::SignWithInstalledSast),
    row(Rule::ModelUnknown, 3, "model-unknown",
        "TVS vouches for the signer, and whether the model asks it is not known", Remedy::ListModel,
        Remedy::SignWithInstalledSast),
    row(Rule::ListsUnknown, 0, "lists-unknown", "the lists that it has are not among those known",
        Remedy::FindLists),
};

constexpr bool in_order() {
    for (std::size_t i = 0; i < kRules.size(); ++i) {
        if (static_cast<std::size_t>(kRules[i].rule) != i) return false;
    }
    return kRules.size() == static_cast<std::size_t>(Rule::ListsUnknown) + 1;
}
static_assert(in_order());

const RuleInfo& info(Rule rule) noexcept {
    return kRules[static_cast<std::size_t>(rule)];
}

}  // namespace

Outcome outcome_of(Rule rule) noexcept {
    switch (rule) {
        case Rule::AlreadyInstalled:
        case Rule::FirstList:
        case Rule::InstalledCtl:
        case Rule::InstalledItl:
        case Rule::CachedSigner:
        case Rule::Tvs:
        case Rule::AfterRollback:
            return Outcome::Accepts;
        case Rule::AskTvs:
        case Rule::TvsUnknown:
        case Rule::ModelUnknown:
        case Rule::ListsUnknown:
            return Outcome::NotKnown;
        default:
            return Outcome::Refuses;
    }
}

std::span<const Remedy> remedies(Rule rule) noexcept {
    return std::span(info(rule).remedies).first(info(rule).remedy_count);
}

unsigned step(Rule rule) noexcept {
    return info(rule).step;
}

std::string_view to_text(Rule rule) noexcept {
    return info(rule).name;
}

std::string_view describe(Rule rule) noexcept {
    return info(rule).description;
}

std::string_view to_text(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::Accepts:
            return "accepts";
        case Outcome::Refuses:
            return "refuses";
        case Outcome::NotKnown:
            return "not-known";
    }
    return "unknown";
}

std::string_view to_text(Remedy remedy) noexcept {
    switch (remedy) {
        case Remedy::SignWithInstalledSast:
            return "sign-with-installed-sast";
        case Remedy::SignWithSastInFull:
            return "sign-with-sast-in-full";
        case Remedy::SignWithSha1:
            return "sign-with-sha1";
        case Remedy::PutSignerIntoPhoneSastTrust:
            return "put-signer-into-phone-sast-trust";
        case Remedy::PutSignerIntoTvsCtl:
            return "put-signer-into-tvs-ctl";
        case Remedy::RestoreTvs:
            return "restore-tvs";
        case Remedy::AllowTls10:
            return "allow-tls10";
        case Remedy::RestoreItl:
            return "restore-itl";
        case Remedy::ListTvs:
            return "list-tvs";
        case Remedy::ListModel:
            return "list-model";
        case Remedy::FindLists:
            return "find-lists";
        case Remedy::PublishCtlFirst:
            return "publish-ctl-first";
        case Remedy::DeleteListByHand:
            return "delete-list-by-hand";
    }
    return "unknown";
}

std::string_view describe(Remedy remedy) noexcept {
    switch (remedy) {
        case Remedy::SignWithInstalledSast:
            return "sign with a token or key that the installed lists hold as a SAST";
        case Remedy::SignWithSastInFull:
            return "sign with a token or key whose certificate, and not its hash alone, the installed lists "
                   "hold as a SAST";
        case Remedy::SignWithSha1:
            return "sign with SHA-1";
        case Remedy::PutSignerIntoPhoneSastTrust:
            return "put the signer's certificate into Phone-SAST-trust";
        case Remedy::PutSignerIntoTvsCtl:
            return "give the CTL that the TVS servers have a record of the signer, too (it is in "
                   "Phone-SAST-trust; a token is found in the CTL alone)";
        case Remedy::RestoreTvs:
            return "start a TVS server that these phones are configured for";
        case Remedy::AllowTls10:
            return "let TVS speak TLS 1.0 until these phones have the list";
        case Remedy::RestoreItl:
            return "give these phones an ITL that holds the certificate of TVS first";
        case Remedy::ListTvs:
            return "give the plan of TVS servers (--tvs) those of these phones, or their device pool";
        case Remedy::ListModel:
            return "find out whether the model has Security By Default, and give it a row in a file of "
                   "models";
        case Remedy::FindLists:
            return "find the lists with these checksums, on an earlier backup or on one of these phones";
        case Remedy::PublishCtlFirst:
            return "publish a CTL first that these phones take, and that holds the ITL's signer as a SAST";
        case Remedy::DeleteListByHand:
            return "delete the trust list on each of these phones by hand";
    }
    return "unknown";
}

std::string to_text(const Way& way) {
    std::string text;
    for (const Remedy remedy : way) {
        if (!text.empty()) text += '+';
        text += to_text(remedy);
    }
    return text;
}

std::string describe(const Way& way) {
    std::string text;
    for (const Remedy remedy : way) {
        if (!text.empty()) text += ", and ";
        text += describe(remedy);
    }
    return text;
}

std::string to_text(const Verdict& verdict) {
    std::string text = fmt::format("{}: {}", to_text(verdict.outcome), describe(verdict.rule));
    if (const unsigned number = step(verdict.rule); number != 0) text += fmt::format(" (rule {})", number);
    if (verdict.rule == Rule::SignatureRefused && verdict.signature)
        text += fmt::format(": {}", ctlsign::to_text(verdict.signature->rule));
    std::string_view before = "; to change it: ";
    for (const Way& way : verdict.ways) {
        text += before;
        text += describe(way);
        before = ", or ";
    }
    return text;
}

}  // namespace ctlsign::phone
