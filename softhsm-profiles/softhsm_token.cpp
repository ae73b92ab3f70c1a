#include <openssl/crypto.h>
#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <string_view>

#include <pkcs11/digest.hpp>
#include <sast/error.hpp>
#include <softhsm-profiles/error.hpp>
#include <softhsm-profiles/private_copy.hpp>
#include <softhsm-profiles/self_signed.hpp>
#include <softhsm-profiles/softhsm_token.hpp>

namespace ctlsign::softhsm {

RsaNumbers::~RsaNumbers() {
    for (Bytes* number : {&private_exponent, &prime1, &prime2, &exponent1, &exponent2, &coefficient}) {
        OPENSSL_cleanse(number->data(), number->size());
    }
}

namespace {

struct MechanismName {
    std::string_view name;
    CK_MECHANISM_TYPE type;
};
constexpr MechanismName kSigningMechanisms[] = {
    {"CKM_RSA_PKCS", CKM_RSA_PKCS},
    {"CKM_RSA_X_509", CKM_RSA_X_509},
    {"CKM_RSA_PKCS_PSS", CKM_RSA_PKCS_PSS},
    {"CKM_SHA1_RSA_PKCS", CKM_SHA1_RSA_PKCS},
    {"CKM_SHA256_RSA_PKCS", CKM_SHA256_RSA_PKCS},
    {"CKM_SHA384_RSA_PKCS", CKM_SHA384_RSA_PKCS},
    {"CKM_SHA512_RSA_PKCS", CKM_SHA512_RSA_PKCS},
};

// A template for C_CreateObject and its like, with the values that it points to.
class Template {
  public:
    Template& add(CK_ATTRIBUTE_TYPE type, ByteView value) {
        values_.emplace_back(value.begin(), value.end());
        attributes_.push_back({type, values_.back().data(), values_.back().size()});
        return *this;
    }
    Template& add(CK_ATTRIBUTE_TYPE type, std::string_view text) { return add(type, as_bytes(text)); }
    Template& add_number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
        return add(type, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
    }
    Template& add_flag(CK_ATTRIBUTE_TYPE type, bool value) {
        const std::uint8_t octet = value ? CK_TRUE : CK_FALSE;
        return add(type, ByteView(&octet, 1));
    }
    Template() = default;
    Template(const Template&) = delete;
    Template& operator=(const Template&) = delete;
    ~Template() {
        for (Bytes& value : values_) OPENSSL_cleanse(value.data(), value.size());
    }
    CK_ATTRIBUTE* data() { return attributes_.data(); }
    CK_ULONG size() const { return attributes_.size(); }

  private:
    std::deque<Bytes> values_;
    std::vector<CK_ATTRIBUTE> attributes_;
};

class TokenMaker {
  public:
    explicit TokenMaker(const TokenRequest& request)
        : request_(request), cryptoki_(load_private_copy(request.module)) {}

    MadeToken make() {
        setenv("SOFTHSM2_CONF", request_.configuration.c_str(), 1);
        check(cryptoki_->C_Initialize(nullptr), "C_Initialize");
        initialise();
        MadeToken made{read_serial(), {}};
        for (const TokenRequest::Key& key : request_.keys) made.certificates.push_back(make_key(key));
        check(cryptoki_->C_Finalize(nullptr), "C_Finalize");
        return made;
    }

  private:
    void check(CK_RV rv, std::string_view function) const {
        if (rv != CKR_OK) throw Error(pkcs11::make_rv(rv), function, "SoftHSM2 token " + request_.label, "");
    }

    // An empty token folder has exactly one slot, with a token that is not initialised.
    void initialise() {
        const Profile::Pin& pin = request_.profile.pin;
        CK_ULONG count = 1;
        check(cryptoki_->C_GetSlotList(CK_FALSE, &slot_, &count), "C_GetSlotList");
        std::string label = request_.label;
        label.resize(32, ' ');
        check(cryptoki_->C_InitToken(slot_, octets(pin.security_officer), pin.security_officer.size(),
                                     octets(label)),
              "C_InitToken");
        check(
            cryptoki_->C_OpenSession(slot_, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session_),
            "C_OpenSession");
        check(cryptoki_->C_Login(session_, CKU_SO, octets(pin.security_officer), pin.security_officer.size()),
              "C_Login");
        check(cryptoki_->C_InitPIN(session_, octets(pin.user), pin.user.size()), "C_InitPIN");
        check(cryptoki_->C_Logout(session_), "C_Logout");
        check(cryptoki_->C_Login(session_, CKU_USER, octets(pin.user), pin.user.size()), "C_Login");
    }

    std::string read_serial() const {
        CK_TOKEN_INFO info{};
        check(cryptoki_->C_GetTokenInfo(slot_, &info), "C_GetTokenInfo");
        std::string serial(reinterpret_cast<const char*>(info.serialNumber), sizeof info.serialNumber);
        serial.erase(serial.find_last_not_of(' ') + 1);
        return serial;
    }

    Bytes make_key(const TokenRequest::Key& key) {
        CK_OBJECT_HANDLE public_key = 0, private_key = 0;
        Template public_template, private_template;
        describe_public(key, public_template);
        describe_private(key, private_template);
        if (key.imported) {
            const RsaNumbers& rsa = *key.imported;
            for (Template* both : {&public_template, &private_template}) {
                both->add_number(CKA_KEY_TYPE, CKK_RSA)
                    .add(CKA_MODULUS, rsa.modulus)
                    .add(CKA_PUBLIC_EXPONENT, rsa.public_exponent);
            }
            public_template.add_number(CKA_CLASS, CKO_PUBLIC_KEY);
            private_template.add_number(CKA_CLASS, CKO_PRIVATE_KEY)
                .add(CKA_PRIVATE_EXPONENT, rsa.private_exponent)
                .add(CKA_PRIME_1, rsa.prime1)
                .add(CKA_PRIME_2, rsa.prime2)
                .add(CKA_EXPONENT_1, rsa.exponent1)
                .add(CKA_EXPONENT_2, rsa.exponent2)
                .add(CKA_COEFFICIENT, rsa.coefficient);
            public_key = create(public_template);
            private_key = create(private_template);
        } else {
            constexpr std::uint8_t kExponent[] = {1, 0, 1};
            public_template.add_number(CKA_MODULUS_BITS, key.bits).add(CKA_PUBLIC_EXPONENT, kExponent);
            CK_MECHANISM mechanism{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
            check(cryptoki_->C_GenerateKeyPair(session_, &mechanism, public_template.data(),
                                               public_template.size(), private_template.data(),
                                               private_template.size(), &public_key, &private_key),
                  "C_GenerateKeyPair");
        }
        const Bytes rsa_public_key =
            encode_rsa_public_key(read(public_key, CKA_MODULUS), read(public_key, CKA_PUBLIC_EXPONENT));
        const ByteView parts[] = {rsa_public_key};
        const Bytes id = compute_digest(Digest::Sha1, parts);
        const sast::Certificate certificate =
            key.certificate ? *key.certificate
                            : make_self_signed(key.subject, rsa_public_key,
                                               [&](ByteView message) { return sign(private_key, message); });
        for (const CK_OBJECT_HANDLE object : {public_key, private_key}) {
            Template common;
            common.add(CKA_ID, id).add(CKA_SUBJECT, certificate.subject_der());
            check(cryptoki_->C_SetAttributeValue(session_, object, common.data(), common.size()),
                  "C_SetAttributeValue");
        }
        if (key.stores_certificate) store_certificate(certificate, id, key.label);
        return Bytes(certificate.der().begin(), certificate.der().end());
    }

    static void describe_public(const TokenRequest::Key& key, Template& out) {
        out.add_flag(CKA_TOKEN, true)
            .add_flag(CKA_PRIVATE, false)
            .add_flag(CKA_VERIFY, true)
            .add_flag(CKA_ENCRYPT, false)
            .add_flag(CKA_WRAP, false)
            .add(CKA_LABEL, key.label);
    }

    void describe_private(const TokenRequest::Key& key, Template& out) const {
        const Profile::Key& rules = request_.profile.key;
        out.add_flag(CKA_TOKEN, true)
            .add_flag(CKA_PRIVATE, true)
            .add_flag(CKA_SENSITIVE, true)
            .add_flag(CKA_EXTRACTABLE, false)
            .add_flag(CKA_SIGN, true)
            .add_flag(CKA_DECRYPT, false)
            .add_flag(CKA_UNWRAP, false)
            .add(CKA_LABEL, key.label);
        if (rules.always_authenticate) out.add_flag(CKA_ALWAYS_AUTHENTICATE, true);
        if (!rules.allowed_mechanisms.empty()) {
            Bytes types;
            for (const std::string& name : rules.allowed_mechanisms) {
                const auto* known =
                    std::ranges::find(kSigningMechanisms, std::string_view(name), &MechanismName::name);
                if (known == std::end(kSigningMechanisms)) {
                    throw Error(Errc::MalformedProfile, "reading", "profile " + request_.profile.name,
                                "allowed-mechanisms: " + name + " does not sign with RSA");
                }
                const auto* octets_of_type = reinterpret_cast<const std::uint8_t*>(&known->type);
                types.insert(types.end(), octets_of_type, octets_of_type + sizeof known->type);
            }
            out.add(CKA_ALLOWED_MECHANISMS, types);
        }
    }

    void store_certificate(const sast::Certificate& certificate, ByteView id, const std::string& label) {
        const ByteView serial = certificate.serial();
        Bytes serial_der{0x02,
                         static_cast<std::uint8_t>(serial.size())};  // INTEGER; at most 20 octets (RFC 5280)
        serial_der.insert(serial_der.end(), serial.begin(), serial.end());
        Template object;
        object.add_number(CKA_CLASS, CKO_CERTIFICATE)
            .add_number(CKA_CERTIFICATE_TYPE, CKC_X_509)
            .add_flag(CKA_TOKEN, true)
            .add_flag(CKA_PRIVATE, request_.profile.behaviour.certificates_hidden)
            .add(CKA_LABEL, label)
            .add(CKA_ID, id)
            .add(CKA_SUBJECT, certificate.subject_der())
            .add(CKA_ISSUER, certificate.issuer_der())
            .add(CKA_SERIAL_NUMBER, serial_der)
            .add(CKA_VALUE, certificate.der());
        create(object);
    }

    CK_OBJECT_HANDLE create(Template& object) {
        CK_OBJECT_HANDLE handle = 0;
        check(cryptoki_->C_CreateObject(session_, object.data(), object.size(), &handle), "C_CreateObject");
        return handle;
    }

    Bytes read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
        CK_ATTRIBUTE attribute{type, nullptr, 0};
        check(cryptoki_->C_GetAttributeValue(session_, object, &attribute, 1), "C_GetAttributeValue");
        Bytes value(attribute.ulValueLen);
        attribute.pValue = value.data();
        check(cryptoki_->C_GetAttributeValue(session_, object, &attribute, 1), "C_GetAttributeValue");
        return value;
    }

    Bytes sign(CK_OBJECT_HANDLE key, ByteView message) const {
        CK_MECHANISM mechanism{CKM_SHA256_RSA_PKCS, nullptr, 0};
        check(cryptoki_->C_SignInit(session_, &mechanism, key), "C_SignInit");
        if (request_.profile.key.always_authenticate) {
            const std::string& pin = request_.profile.pin.user;
            check(cryptoki_->C_Login(session_, CKU_CONTEXT_SPECIFIC, octets(pin), pin.size()), "C_Login");
        }
        Bytes data(message.begin(), message.end());
        Bytes signature(2048);
        CK_ULONG size = signature.size();
        check(cryptoki_->C_Sign(session_, data.data(), data.size(), signature.data(), &size), "C_Sign");
        signature.resize(size);
        return signature;
    }

    // Cryptoki takes texts that it only reads through pointers to non-const octets.
    static CK_UTF8CHAR* octets(const std::string& text) {
        return reinterpret_cast<CK_UTF8CHAR*>(const_cast<char*>(text.data()));
    }

    const TokenRequest& request_;
    CK_FUNCTION_LIST* cryptoki_;
    CK_SLOT_ID slot_ = 0;
    CK_SESSION_HANDLE session_ = 0;
};

}  // namespace

MadeToken make_token(const TokenRequest& request) {
    return TokenMaker(request).make();
}

}  // namespace ctlsign::softhsm
