#include <fmt/format.h>
#include <openssl/rand.h>

#include <memory>

#include <bindings/openssl/issue.hpp>
#include <cli/input.hpp>
#include <cli/terminal.hpp>
#include <cli/token.hpp>
#include <cli/token_access.hpp>
#include <cli/token_report.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/error.hpp>
#include <sast/subject.hpp>

namespace ctlsign::cli {

namespace {

namespace attribute = pkcs11::attribute;

struct TokenProvisionOptions {
    TokenOptions token;
    std::string name, subject, issuer, digest = "sha256";
    unsigned bits = 2048, days = 7300;
    Format format = Format::AsText;
};

constexpr std::int64_t kSecondsInDay = 86400;

// Objects made on the token; taken off again unless keep() is called, so that a failure leaves nothing
// behind.
class Pending {
  public:
    explicit Pending(pkcs11::Session& session) : session_(session) {}
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    ~Pending() {
        for (const auto object : objects_) {
            try {
                session_.destroy_object(object);
            } catch (const Error& e) {
                print_warning(e.what());
            }
        }
    }
    void add(pkcs11::ObjectHandle object) { objects_.push_back(object); }
    void keep() { objects_.clear(); }

  private:
    pkcs11::Session& session_;
    std::vector<pkcs11::ObjectHandle> objects_;
};

pkcs11::Session::KeyPair make_key_pair(pkcs11::Session& session, unsigned bits, const Bytes& id,
                                       const std::string& label) {
    const auto public_key = pkcs11::Template()
                                .with<attribute::Token>(true)
                                .with<attribute::Private>(false)
                                .with<attribute::ModulusBits>(bits)
                                .with<attribute::PublicExponent>({0x01, 0x00, 0x01})
                                .with<attribute::Verify>(true)
                                .with<attribute::Id>(id)
                                .with<attribute::Label>(label);
    const auto private_key = pkcs11::Template()
                                 .with<attribute::Token>(true)
                                 .with<attribute::Private>(true)
                                 .with<attribute::Sensitive>(true)
                                 .with<attribute::Extractable>(false)
                                 .with<attribute::Sign>(true)
                                 .with<attribute::Id>(id)
                                 .with<attribute::Label>(label);
    return session.generate_key_pair(pkcs11::Mechanism::RsaPkcsKeyPairGen, public_key, private_key);
}

sast::Certificate issue(const openssl::TokenKey& key, const TokenProvisionOptions& options, Digest digest,
                        const std::optional<openssl::Issuer>& issuer) {
    const std::int64_t begin = unix_now();
    const openssl::CertificateTerms terms{options.subject, begin, begin + options.days * kSecondsInDay,
                                          digest};
    if (!issuer) return openssl::issue_self_signed(key, terms);
    return issuer->issue(openssl::make_certificate_request(key, options.subject, digest), terms);
}

ExitCode run(const TokenProvisionOptions& options) {
    const Digest digest = get_digest(options.digest);
    check_bits(options.bits);
    try {
        (void)sast::encode_subject(options.subject);
    } catch (const Error& e) {
        throw UsageError(e.what());
    }
    std::optional<openssl::Issuer> issuer;
    if (!options.issuer.empty())
        issuer = openssl::Issuer::decode_pem(as_text(read_key(options.issuer).content.octets()));
    const auto name = sast::TokenName::parse(options.name);
    const auto token = find_token(options.token, options.name);
    const auto pins = make_pins(options.token, name.uri());
    Bytes id(20);
    if (RAND_bytes(id.data(), static_cast<int>(id.size())) != 1) fail_openssl("RAND_bytes", "");

    auto session = pkcs11::Session::open(token, pkcs11::Session::Access::ReadWrite);
    sast::TokenLogin login(token, *pins, make_policy(options.token));
    login.log_in(session);

    Pending pending(session);
    const std::string label = token.info().label;
    const auto pair = make_key_pair(session, options.bits, id, label);
    pending.add(pair.private_key);
    pending.add(pair.public_key);
    const auto certificate =
        issue(openssl::TokenKey(pkcs11::Session::open(token), id), options, digest, issuer);
    const auto to_bytes = [](ByteView view) { return Bytes(view.begin(), view.end()); };
    session.create_object(pkcs11::Template()
                              .with<attribute::Class>(pkcs11::ObjectClass::Certificate)
                              .with<attribute::CertificateType>(pkcs11::CertificateType::X509)
                              .with<attribute::Token>(true)
                              .with<attribute::Private>(false)
                              .with<attribute::Label>(label)
                              .with<attribute::Id>(id)
                              .with<attribute::Subject>(to_bytes(certificate.subject_der()))
                              .with<attribute::Issuer>(to_bytes(certificate.issuer_der()))
                              .with<attribute::Value>(to_bytes(certificate.der())));
    pending.keep();

    const sast::Identity identity{token, certificate, id, label, sast::KeyEvidence::Seen};
    if (options.format == Format::AsJson) {
        print_json({{"token", to_json(token)}, {"identity", to_json(identity)}});
    } else {
        print(fmt::format("{}\n  {}\n  issuer {}\n", token.text(), describe(identity),
                          certificate.issuer_text()));
    }
    return ExitCode::Done;
}

}  // namespace

void add_token_provision(Command parent, Action& action) {
    const auto options = std::make_shared<TokenProvisionOptions>();
    Command command = add_command(
        parent, "provision", "Make a key pair on a token, and a certificate for it",
        "ctlsign token provision --token 'pkcs11:serial=0123' --subject 'CN=SAST-ADN0123,O=Example'");
    command.add_option("--token", options->name, "PKCS#11 URI, label or serial number")
        .type_name("TOKEN")
        .required();
    command.add_option("--subject", options->subject, "CN=...,OU=...,O=...").type_name("NAME").required();
    command
        .add_option("--issuer", options->issuer,
                    "PEM with the issuer's certificate and key; default: self-signed")
        .type_name("FILE");
    command.add_option("--bits", options->bits, "1024, 2048 (default) or 4096").type_name("BITS");
    command.add_option("--days", options->days, "How long the certificate is valid (default 7300)")
        .type_name("DAYS")
        .within(1U, 36500U);
    command.add_option("--digest", options->digest, "sha1, sha256 (default) or sha512").type_name("DIGEST");
    add_token_options(command, options->token);
    add_json_flag(command, options->format);
    command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace ctlsign::cli
