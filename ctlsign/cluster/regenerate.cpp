#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>

#include <ctlsign/cluster/contents.hpp>
#include <ctlsign/cluster/regenerate.hpp>
#include <ctlsign/cluster/workflow.hpp>
#include <ctlsign/error.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>
#include <pkcs11/store.hpp>
#include <sast/error.hpp>
#include <sast/new_certificate.hpp>

namespace ctlsign::cluster {

namespace {

using NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;
using EntryPtr = std::unique_ptr<X509_NAME_ENTRY, FreeWith<X509_NAME_ENTRY_free>>;
// What it held is wiped.
using SecretBioPtr = std::unique_ptr<BIO, FreeWith<BIO_free>>;

void require(bool done) {
    if (done) return;
    ERR_clear_error();
    throw Error(sast::Errc::MalformedCertificate, "making a certificate", "", "OpenSSL refuses its fields");
}

NamePtr decode_name(ByteView der) {
    const unsigned char* at = der.data();
    NamePtr name(d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
    require(name != nullptr);
    return name;
}

sast::NewCertificatePtr make_template(EVP_PKEY* key, const NewCertificate::Terms& terms) {
    static constexpr sast::NewCertificateFields::Extension kExtensions[] = {
        {NID_key_usage, "digitalSignature,keyEncipherment,dataEncipherment,keyCertSign"},
        {NID_ext_key_usage, "serverAuth,clientAuth"},
    };
    const NamePtr name = decode_name(terms.subject_der);
    return sast::make_unsigned_certificate({.subject = name.get(),
                                            .issuer = name.get(),
                                            .key = key,
                                            .not_before = terms.not_before,
                                            .not_after = terms.not_after,
                                            .extensions = kExtensions});
}

// What phones may check the next list with.
bool is_anchor(Store store) {
    return store == Store::CallManager || store == Store::Tvs || store == Store::ItlRecovery;
}

// What is to be done about a new certificate that is in the stores of AFTER.
std::string remaking_note(const State& after) {
    const std::string_view command = remaking_command(after);
    std::string note = fmt::format("the CTL must be made anew afterwards: {}", command);
    if (command == kResetLocalKey)
        note +=
            ", signed by CallManager, which phones know; ctlsign cluster update goes back to the usual "
            "signer once they hold that CTL";
    else if (after.last->way == Way::Tokens && after.release.takes_tokens())
        note += "; a token signs as before";
    return note;
}

}  // namespace

void NewCertificate::Free::operator()(evp_pkey_st* key) const noexcept {
    EVP_PKEY_free(key);
}

NewCertificate::NewCertificate(const Terms& terms) : key_(EVP_RSA_gen(terms.bits)) {
    require(key_ != nullptr);
    const sast::NewCertificatePtr made = make_template(key_.get(), terms);
    require(X509_sign(made.get(), key_.get(), EVP_sha256()) > 0);
    unsigned char* der = nullptr;
    const int size = i2d_X509(made.get(), &der);
    require(size > 0);
    certificate_ = sast::Certificate::decode({der, static_cast<std::size_t>(size)});
    OPENSSL_free(der);
}

void NewCertificate::store_key(const std::string& path) const {
    const SecretBioPtr out(BIO_new(BIO_s_secmem()));
    if (!out ||
        PEM_write_bio_PKCS8PrivateKey(out.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        fail_openssl("PEM_write_bio_PKCS8PrivateKey", path);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    store_file(path, as_bytes({text, static_cast<std::size_t>(size)}), Readers::OwnerAlone, Existing::Kept);
}

Bytes regenerated_subject(Store store, const sast::Certificate& old) {
    const ByteView subject = old.subject_der();
    if (store != Store::Capf) return Bytes(subject.begin(), subject.end());
    std::array<unsigned char, 4> random{};
    require(RAND_bytes(random.data(), static_cast<int>(random.size())) == 1);
    const std::string common_name = "CAPF-" + to_lower_hex(random);
    const NamePtr name = decode_name(subject);
    const int position = X509_NAME_get_index_by_NID(name.get(), NID_commonName, -1);
    require(position >= 0);
    const EntryPtr old_entry(X509_NAME_delete_entry(name.get(), position));
    require(X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(common_name.data()),
                                       static_cast<int>(common_name.size()), position, 0) == 1);
    unsigned char* der = nullptr;
    const int size = i2d_X509_NAME(name.get(), &der);
    require(size > 0);
    Bytes encoded(der, der + size);
    OPENSSL_free(der);
    return encoded;
}

std::vector<std::string> announce(const State& state, Store store, const Node& node,
                                  const sast::Certificate& fresh) {
    constexpr std::string_view kReset =
        "restart the services, reset the phones and run ctlsign cluster restarted before the next "
        "certificate changes";
    std::vector<std::string> notes;
    const bool replaces = state.find_own(store, node) != nullptr;
    const bool waits = replaces && is_anchor(store);
    if (replaces && store == Store::Capf)
        notes.emplace_back(
            "the LSCs of the phones are to be renewed afterwards: the CAPF of before issued them");
    if (state.mode == Mode::NonSecure) {
        if (waits) notes.push_back(fmt::format("no CTL is made in non-secure mode: {}", kReset));
        return notes;
    }
    if (!stands_in_ctl(state, store, node)) {
        if (waits) notes.push_back(fmt::format("no CTL holds it: {}", kReset));
        return notes;
    }
    if (state.ctl() == nullptr) return notes;
    State after = state;
    std::erase_if(after.certificates, [&](const StoredCertificate& stored) {
        return stored.store == store && stored.node == node.id;
    });
    after.certificates.push_back({0, store, node.id, fresh, std::nullopt, Settling::Changed});
    notes.push_back(remaking_note(after));
    if (after.last->way == Way::Tokenless) {
        Request request;
        request.operation = Operation::Update;
        const bool reset = remaking_command(after) == kResetLocalKey;
        if (const Planned planned = plan(after, request); planned.plan)
            for (const std::string& note : planned.plan->notes)
                notes.push_back(reset ? "with ctlsign cluster update at once, " + note : note);
    }
    if (waits) notes.push_back(fmt::format("then {}", kReset));
    return notes;
}

}  // namespace ctlsign::cluster
