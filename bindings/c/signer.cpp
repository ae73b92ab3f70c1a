#include <array>
#include <utility>

#include <bindings/c/signer.hpp>
#include <bindings/c/tokens.hpp>
#include <ctlsign/files/certificates.hpp>
#include <pkcs11/error.hpp>
#include <sast/error.hpp>
#include <sast/publisher_signer.hpp>
#include <sast/token_signer.hpp>

using namespace ctlsign;
using namespace ctlsign::c;

namespace {

ctlsign_pin_request describe(const sast::PinRequest& request, ctlsign_pin_kind kind) noexcept {
    ctlsign_pin_request described{};
    described.size = sizeof described;
    described.kind = kind;
    described.subject = request.subject.c_str();
    if (request.token) {
        described.label = request.token->label.c_str();
        described.serial = request.token->serial.c_str();
    }
    set_pin_status(described, request.state, request.tries);
    return described;
}

[[noreturn]] void no_pin(const sast::PinRequest& request, std::string_view why) {
    throw Error(sast::Errc::PinNeeded, "asking for the PIN", request.subject, why);
}

ctlsign_signer_options read_options(const ctlsign_signer_options* options) {
    return options == nullptr ? ctlsign_signer_options{} : read_struct(options, "options");
}

std::optional<sast::Certificate> stand_in(const ctlsign_signer_options& options) {
    const auto given = find_octets(options.certificate);
    if (!given) return std::nullopt;
    return decode_certificates(*given, "options->certificate").front();
}

sast::TokenPolicy policy_of(const ctlsign_signer_options& options, const ctlsign_signer& signer) {
    sast::TokenPolicy policy;
    policy.on_pause = [&closed = signer.closed] {
        if (closed)
            throw Refusal(CTLSIGN_STATUS_STOPPED, "the signer was closed while it waited for its token");
    };
    if (options.use_final_try != 0) policy.final_try = pkcs11::FinalTry::Spend;
    policy.wait = std::chrono::milliseconds(options.wait_ms);
    if (options.wait != nullptr) {
        policy.on_wait = [options](const pkcs11::Token& token) {
            const auto& [label, serial] = std::tie(token.info().label, token.info().serial);
            if (options.wait(options.user, label.c_str(), serial.c_str(), options.wait_ms) != 0)
                throw Error(pkcs11::Errc::TokenGone, "waiting", token.text(), "the callback gave up");
        };
    }
    return policy;
}

template <typename Signer>
ctlsign_signer* open(std::shared_ptr<ctlsign_signer> object, std::unique_ptr<Signer> signer) {
    object->unlock = [&key = *signer] { key.unlock(); };
    object->signer = std::move(signer);
    return open_handle(std::move(object));
}

}  // namespace

OneAtATime::Turn::Turn(OneAtATime& all) : all_(all), lock_(all.mutex_, std::defer_lock) {
    if (all_.owner_ == std::this_thread::get_id())
        refuse_argument("a callback used the handle that it was called for");
    lock_.lock();
    all_.owner_ = std::this_thread::get_id();
}

OneAtATime::Turn::~Turn() {
    all_.owner_ = std::thread::id();
}

pkcs11::Pin CallbackPins::ask(const sast::PinRequest& request) {
    if (callback_ == nullptr) no_pin(request, "give a callback that asks for it");
    struct Buffer {
        std::array<char, pkcs11::Pin::kMaxSize> text{};
        ~Buffer() { pkcs11::wipe_memory(text); }
    } buffer;
    const bool file = request.kind == sast::PinRequest::Kind::Passphrase;
    const auto described = describe(request, file ? CTLSIGN_PIN_OF_FILE : CTLSIGN_PIN_OF_TOKEN);
    std::size_t length = 0;
    if (callback_(user_, &described, buffer.text.data(), buffer.text.size(), &length) != 0)
        no_pin(request, "the callback refused");
    if (length == 0) no_pin(request, "nothing was entered");
    if (length > buffer.text.size())
        no_pin(request, "the callback said that it wrote more than there is room for");
    return pkcs11::Pin::take(std::span(buffer.text).first(length));
}

void CallbackPins::look_at_reader(const sast::PinRequest& request) {
    if (callback_ == nullptr) return;
    const auto described = describe(request, CTLSIGN_PIN_AT_READER);
    std::size_t length = 0;
    if (callback_(user_, &described, nullptr, 0, &length) != 0) no_pin(request, "the callback refused");
}

Digest ctlsign::c::digest_of(ctlsign_digest digest) {
    switch (digest) {
        case CTLSIGN_DIGEST_SHA1:
            return Digest::Sha1;
        case CTLSIGN_DIGEST_SHA256:
            return Digest::Sha256;
        case CTLSIGN_DIGEST_SHA512:
            return Digest::Sha512;
        default:
            refuse_argument("digest is none of CTLSIGN_DIGEST_...");
    }
}

ctlsign_status ctlsign_signer_open_token(ctlsign_modules* modules, const char* token,
                                         const ctlsign_signer_options* options, ctlsign_signer** signer,
                                         ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(signer, "signer");
        const auto opened = get_object(modules);
        const auto given = read_options(options);
        const auto certificate = stand_in(given);
        std::optional<sast::TokenName> name;
        if (token != nullptr) name = sast::TokenName::parse(token);
        const auto chosen = sast::choose_token(sast::list_tokens(opened->modules), name);
        auto identity = sast::choose_identity(chosen, name ? name->uri() : std::nullopt, certificate);
        auto object = std::make_shared<ctlsign_signer>(given.pin, given.user);
        auto key =
            std::make_unique<sast::TokenSigner>(std::move(identity), object->pins, policy_of(given, *object));
        out = open(std::move(object), std::move(key));
    });
}

ctlsign_status ctlsign_signer_open_file(const char* path, const ctlsign_signer_options* options,
                                        ctlsign_signer** signer, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(signer, "signer");
        const auto given = read_options(options);
        auto object = std::make_shared<ctlsign_signer>(given.pin, given.user);
        auto key = sast::PublisherSigner::open(text(path, "path"), stand_in(given), object->pins);
        out = open(std::move(object), std::move(key));
    });
}

ctlsign_status ctlsign_signer_get(ctlsign_signer* signer, ctlsign_signer_info* info, ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(info, "info");
        const auto object = get_object(signer);
        const sast::Signer::Facts& facts = object->signer->facts();
        ctlsign_signer_info filled{};
        filled.description = facts.description.c_str();
        filled.certificate = view(facts.certificate.der());
        filled.key_bits = facts.key_bits;
        filled.signature_length = facts.signature_length;
        out.write(filled);
    });
}

ctlsign_status ctlsign_signer_unlock(ctlsign_signer* signer, ctlsign_error* error) {
    return guarded(error, [&] {
        const auto object = get_object(signer);
        const ctlsign_signer::Use use(*object);
        object->unlock();
    });
}

ctlsign_status ctlsign_signer_sign(ctlsign_signer* signer, ctlsign_digest digest, ctlsign_view message,
                                   ctlsign_bytes* signature, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(signature, "signature");
        const auto object = get_object(signer);
        const Digest chosen = digest_of(digest);
        const ByteView covered = octets(message, "message.data");
        const ctlsign_signer::Use use(*object);
        out = Copy((*use).sign(chosen, covered)).release();
    });
}
