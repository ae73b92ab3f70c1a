#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>

#include <algorithm>
#include <memory>
#include <set>

#include <ctlsign/cluster/audit.hpp>
#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/migration.hpp>
#include <ctlsign/cluster/services.hpp>
#include <ctlsign/cluster/stores.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/sqlite.hpp>
#include <ctlsign/limits.hpp>
#include <ctlsign/trustlist/decode.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>
#include <sast/limits.hpp>

namespace ctlsign::cluster {

namespace {

void free_bags(STACK_OF(PKCS12_SAFEBAG) * bags) {
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}
void free_safes(STACK_OF(PKCS7) * safes) {
    sk_PKCS7_pop_free(safes, PKCS7_free);
}
void free_text(char* text) {
    OPENSSL_free(text);
}
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using Pkcs12Ptr = std::unique_ptr<PKCS12, FreeWith<PKCS12_free>>;
using BagsPtr = std::unique_ptr<STACK_OF(PKCS12_SAFEBAG), FreeWith<free_bags>>;
using SafesPtr = std::unique_ptr<STACK_OF(PKCS7), FreeWith<free_safes>>;
using TextPtr = std::unique_ptr<char, FreeWith<free_text>>;

constexpr int kIterations = 100000;
constexpr std::string_view kOf = " of ";

template <typename T>
Bytes encode(const T* object, int (*i2d)(const T*, unsigned char**)) {
    unsigned char* der = nullptr;
    const int size = i2d(object, &der);
    if (size <= 0) fail_openssl("encoding DER", "");
    Bytes encoded(der, der + size);
    OPENSSL_free(der);
    return encoded;
}

X509Ptr to_x509(const sast::Certificate& certificate) {
    const unsigned char* at = certificate.der().data();
    X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
    if (!x509) {
        ERR_clear_error();
        throw Error(sast::Errc::MalformedCertificate, "exporting", certificate.common_name(), "");
    }
    return x509;
}

class Reader {
  public:
    Reader(std::string_view passphrase, const std::string& name) : passphrase_(passphrase), name_(name) {}

    std::vector<Introduction> run(ByteView octets) {
        const unsigned char* at = octets.data();
        const Pkcs12Ptr file(d2i_PKCS12(nullptr, &at, static_cast<long>(octets.size())));
        if (!file || at != octets.data() + octets.size()) malformed("it is not PKCS#12");
        check_mac(*file);
        const SafesPtr safes(PKCS12_unpack_authsafes(file.get()));
        if (!safes) malformed("its contents cannot be read");
        for (int i = 0; i < sk_PKCS7_num(safes.get()); ++i) read(sk_PKCS7_value(safes.get(), i));
        if (found_.empty()) malformed("no cluster has put a certificate into it");
        return std::move(found_);
    }

  private:
    [[noreturn]] void malformed(std::string_view why) const {
        ERR_clear_error();
        throw Error(Errc::Malformed, "reading the certificates of a cluster", name_, why);
    }

    void check_mac(PKCS12& file) const {
        if (PKCS12_mac_present(&file) == 0) malformed("nothing protects it from being changed");
        const ASN1_INTEGER* iterations = nullptr;
        PKCS12_get0_mac(nullptr, nullptr, nullptr, &iterations, &file);
        if (iterations != nullptr && ASN1_INTEGER_get(iterations) > limits::kStretching)
            malformed("its passphrase is stretched beyond reason");
        const auto fits = [&](const char* passphrase) {
            return PKCS12_verify_mac(&file, passphrase, static_cast<int>(passphrase_.size())) == 1;
        };
        // Programs write no passphrase in either of two ways.
        if (passphrase_.empty() ? fits("") || fits(nullptr) : fits(passphrase_.data())) return;
        ERR_clear_error();
        throw Error(sast::Errc::WrongPassphrase, "reading the certificates of a cluster", name_,
                    "or it was changed");
    }

    void read(PKCS7* safe) {
        // Certificates are no secret: clusters leave them readable, and nothing else is worked on.
        if (PKCS7_type_is_encrypted(safe))
            malformed("its certificates are encrypted; write it with cluster export");
        const BagsPtr bags(PKCS7_type_is_data(safe) ? PKCS12_unpack_p7data(safe) : nullptr);
        if (!bags) malformed("its contents cannot be read");
        for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags.get()); ++i)
            read(sk_PKCS12_SAFEBAG_value(bags.get(), i));
    }

    void read(PKCS12_SAFEBAG* bag) {
        if (PKCS12_SAFEBAG_get_nid(bag) != NID_certBag) return;
        const X509Ptr x509(PKCS12_SAFEBAG_get1_cert(bag));
        const TextPtr name(PKCS12_get_friendlyname(bag));
        if (!x509 || !name) malformed("a certificate does not say whose it is");
        const std::string_view text(name.get());
        const std::size_t of = text.find(kOf);
        const auto store = of == std::string_view::npos ? std::nullopt : find_store(text.substr(0, of));
        if (store != Store::CallManager && store != Store::ItlRecovery)
            malformed(fmt::format("{} is not what clusters show to each other", text));
        found_.push_back({std::string(text.substr(of + kOf.size())), *store,
                          sast::Certificate::decode(encode<X509>(x509.get(), i2d_X509))});
    }

    std::string_view passphrase_;
    const std::string& name_;
    std::vector<Introduction> found_;
};

std::string names_of(std::span<const Introduction> introductions) {
    std::set<std::string> names;
    for (const auto& each : introductions) names.insert(each.cluster);
    return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::variant<std::vector<Introduction>, Refusal> introduce(const State& state) {
    std::vector<Introduction> shown;
    const auto add = [&](Store store, const Node& node) -> std::optional<Refusal> {
        const StoredCertificate* own = state.find_own(store, node);
        if (own == nullptr) return missing_certificate(store, node);
        shown.push_back({state.name, store, own->certificate});
        return std::nullopt;
    };
    for (const Node& node : state.nodes) {
        // Without TFTP a publisher still signs the CTL.
        if (node.role == Role::Ccm && node.place != Place::Publisher) continue;
        if (auto refusal = add(Store::CallManager, node)) return *refusal;
    }
    const Node* publisher = state.publisher();
    if (publisher == nullptr)
        return Refusal{ClusterRule::CertificatesThere,
                       "the cluster has no publisher: add it with cluster node add --publisher",
                       std::nullopt};
    if (state.release.signs_with_itl_recovery())
        if (auto refusal = add(Store::ItlRecovery, *publisher)) return *refusal;
    return shown;
}

Bytes encode_introductions(std::span<const Introduction> introductions, std::string_view passphrase) {
    const BagsPtr owner(sk_PKCS12_SAFEBAG_new_null());
    STACK_OF(PKCS12_SAFEBAG)* bags = owner.get();
    bool done = bags != nullptr;
    for (const Introduction& each : introductions) {
        const X509Ptr x509 = to_x509(each.certificate);
        const std::string name = fmt::format("{}{}{}", to_text(each.store), kOf, each.cluster);
        done = done &&
               X509_alias_set1(x509.get(), reinterpret_cast<const unsigned char*>(name.data()),
                               static_cast<int>(name.size())) == 1 &&
               PKCS12_add_cert(&bags, x509.get()) != nullptr;
    }
    STACK_OF(PKCS7)* safes = nullptr;
    done = done && PKCS12_add_safe(&safes, bags, -1, 0, nullptr) == 1;
    const SafesPtr safes_owner(safes);
    const Pkcs12Ptr file(done ? PKCS12_add_safes(safes, 0) : nullptr);
    if (!file || PKCS12_set_mac(file.get(), passphrase.data(), static_cast<int>(passphrase.size()), nullptr,
                                0, kIterations, EVP_sha256()) != 1)
        fail_openssl("making PKCS#12", "");
    return encode<PKCS12>(file.get(), i2d_PKCS12);
}

std::vector<Introduction> decode_introductions(ByteView pkcs12, std::string_view passphrase,
                                               const std::string& name) {
    return Reader(passphrase, name).run(pkcs12);
}

std::vector<Introduction> select_foreign(const State& state, std::span<const Introduction> introductions) {
    std::vector<Introduction> foreign;
    for (const Introduction& each : introductions)
        if (each.cluster != state.name) foreign.push_back(each);
    return foreign;
}

std::optional<std::string> note_tokens(const State& state) {
    if (!state.last || state.last->way != Way::Tokens) return std::nullopt;
    return fmt::format(
        "tokens sign the CTL of {0}, and what clusters export does not vouch for them: phones that come from "
        "another cluster refuse it unless the certificates of {1} are in Phone-SAST-trust there: ctlsign "
        "token export-certificate for each, and in that cluster ctlsign cluster certificate import FILE "
        "--store Phone-SAST-trust",
        state.name, token_names(token_certificates(decode_list(ByteView(state.last->octets)))));
}

bool is_shown_by(const State& state, std::span<const Introduction> introductions) {
    return std::ranges::any_of(introductions, [&](const Introduction& each) {
        return state.holds(each.store, each.certificate) ||
               state.holds(Store::CallManagerTrust, each.certificate);
    });
}

bool shows_all_of(const State& state, std::span<const Introduction> introductions) {
    const auto shown = introduce(state);
    const auto* own = std::get_if<std::vector<Introduction>>(&shown);
    return own != nullptr && std::ranges::all_of(*own, [&](const Introduction& wanted) {
               return std::ranges::any_of(introductions, [&](const Introduction& each) {
                   return each.store == wanted.store && each.certificate == wanted.certificate;
               });
           });
}

std::optional<Refusal> check_migration(const State& state) {
    if (!state.prepared_for_rollback) return std::nullopt;
    return Refusal{ClusterRule::RollbackParameter,
                   "Prepare cluster for rollback to pre-8.0 is True: phones have no TVS certificate to ask "
                   "about the other cluster's signer; set it to False with ctlsign cluster "
                   "rollback-parameter, and reset the phones",
                   "secured phones refuse the CTL of the other cluster, and keep that of this one"};
}

std::size_t import_introductions(Writer& writer, std::span<const Introduction> foreign) {
    sqlite::Transaction transaction(writer.connection());
    std::size_t added = 0;
    bool recovery = false;
    for (const Introduction& each : foreign) {
        bool is_new = add_trusted_certificate(writer, Store::PhoneSastTrust, each.certificate);
        if (each.store == Store::CallManager)
            is_new = add_trusted_certificate(writer, Store::CallManagerTrust, each.certificate) || is_new;
        else
            recovery = recovery || is_new;
        added += is_new ? 1 : 0;
    }
    if (recovery) add_restarts_everywhere(writer, Service::Tvs, "ITLRecovery of another cluster came");
    append_audit(writer, "clusters-imported",
                 {{"clusters", names_of(foreign)}, {"certificates", std::to_string(added)}});
    transaction.commit();
    return added;
}

std::vector<std::string> migration_steps(const State& state, std::span<const Introduction> foreign,
                                         Journey journey) {
    const std::string there = names_of(foreign);
    std::vector<std::string> steps;
    const auto is_recovery = [](const auto& each) { return each.store == Store::ItlRecovery; };
    if (std::ranges::any_of(foreign, is_recovery))
        steps.push_back(fmt::format("Restart the TVS service on all nodes of {}", state.name));
    steps.push_back(
        fmt::format("Phones that are to move need the CTL and the ITL of {}: reset them while "
                    "they are registered here",
                    state.name));
    steps.push_back(
        fmt::format("Point DHCP option 150 of these phones to the TFTP servers of {}, and reset "
                    "them",
                    there));
    steps.push_back(journey == Journey::BothWays
                        ? fmt::format("Phones can come back once {} has imported the same file", there)
                        : fmt::format("One way only: {} does not know the certificates of {}, and phones "
                                      "that have moved cannot come back; they can once both have exported, "
                                      "and imported what was consolidated then",
                                      there, state.name));
    return steps;
}

}  // namespace ctlsign::cluster
