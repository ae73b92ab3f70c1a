#include <chrono>
#include <utility>

#include <bindings/c/tokens.hpp>

using namespace ctlsign;
using namespace ctlsign::c;

namespace {

unsigned flags_of(const pkcs11::TokenInfo& info) noexcept {
    unsigned flags = 0;
    if (info.login_required) flags |= CTLSIGN_TOKEN_LOGIN_REQUIRED;
    if (info.protected_authentication_path) flags |= CTLSIGN_TOKEN_PIN_AT_READER;
    if (info.write_protected) flags |= CTLSIGN_TOKEN_WRITE_PROTECTED;
    if (info.pin_to_be_changed) flags |= CTLSIGN_TOKEN_PIN_TO_BE_CHANGED;
    return flags;
}

}  // namespace

struct ctlsign_identities : Object {
    struct Entry {
        sast::Identity identity;
        std::string subject, issuer;
    };
    std::vector<Entry> entries;
};

ctlsign_tokens::ctlsign_tokens(const std::vector<pkcs11::Token>& tokens) {
    for (const auto& token : tokens) entries.push_back({token, pkcs11::Uri::of(token).to_text()});
}

ctlsign_pin_state ctlsign::c::to_c(pkcs11::PinState state) noexcept {
    switch (state) {
        case pkcs11::PinState::Good:
            return CTLSIGN_PIN_GOOD;
        case pkcs11::PinState::CountLow:
            return CTLSIGN_PIN_COUNT_LOW;
        case pkcs11::PinState::FinalTry:
            return CTLSIGN_PIN_FINAL_TRY;
        case pkcs11::PinState::Locked:
            return CTLSIGN_PIN_LOCKED;
        case pkcs11::PinState::NotInitialized:
            return CTLSIGN_PIN_NOT_SET;
    }
    return CTLSIGN_PIN_GOOD;
}

ctlsign_status ctlsign_modules_open(const ctlsign_module_options* options, ctlsign_modules** modules,
                                    ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(modules, "modules");
        const auto given = options == nullptr ? ctlsign_module_options{} : read_struct(options, "options");
        std::optional<std::string> path;
        if (given.path != nullptr) path = given.path;
        // open_modules() would have the shell run it.
        if (path && path->starts_with('|'))
            refuse_argument("options->path is a file; a command goes into options->command");
        if (given.command != nullptr) {
            if (path) refuse_argument("options->path and options->command exclude each other");
            path = std::string("|") + given.command;
        }
        std::optional<pkcs11::Module::Isolation> isolation;
        if (given.isolate != 0 || given.command != nullptr) isolation = pkcs11::Module::Isolation{};
        if (isolation && given.call_deadline_ms != 0)
            isolation->deadline = std::chrono::milliseconds(given.call_deadline_ms);
        auto object = std::make_shared<ctlsign_modules>();
        object->modules = sast::open_modules(path, std::nullopt, isolation, object->failures);
        out = open_handle(std::move(object));
    });
}

ctlsign_status ctlsign_modules_count(ctlsign_modules* modules, size_t* count, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(count, "count");
        const auto object = get_object(modules);
        out = object->modules.size() + object->failures.size();
    });
}

ctlsign_status ctlsign_modules_get(ctlsign_modules* modules, size_t index, ctlsign_module_info* info,
                                   ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(info, "info");
        const auto object = get_object(modules);
        ctlsign_module_info filled{};
        if (index < object->modules.size()) {
            filled.path = object->modules[index]->path().c_str();
        } else {
            const auto& failure =
                element(std::span(std::as_const(object->failures)), index - object->modules.size());
            filled.path = failure.path.c_str();
            filled.failure = failure.reason.c_str();
        }
        out.write(filled);
    });
}

ctlsign_status ctlsign_tokens_list(ctlsign_modules* modules, ctlsign_tokens** tokens, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(tokens, "tokens");
        const auto object = get_object(modules);
        out = open_handle(std::make_shared<ctlsign_tokens>(sast::list_tokens(object->modules)));
    });
}

ctlsign_status ctlsign_tokens_count(ctlsign_tokens* tokens, size_t* count, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(count, "count");
        out = get_object(tokens)->entries.size();
    });
}

ctlsign_status ctlsign_tokens_get(ctlsign_tokens* tokens, size_t index, ctlsign_token_info* info,
                                  ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(info, "info");
        const auto object = get_object(tokens);
        const auto& [token, uri] = object->at(index);
        const pkcs11::TokenInfo& known = token.info();
        ctlsign_token_info filled{};
        filled.label = known.label.c_str();
        filled.serial = known.serial.c_str();
        filled.manufacturer = known.manufacturer.c_str();
        filled.model = known.model.c_str();
        filled.hardware_version = known.hardware_version.c_str();
        filled.firmware_version = known.firmware_version.c_str();
        filled.uri = uri.c_str();
        filled.module = token.module()->path().c_str();
        filled.slot = static_cast<unsigned long>(token.slot());
        filled.flags = flags_of(known);
        filled.pin = to_c(known.pin);
        filled.min_pin = known.min_pin;
        filled.max_pin = known.max_pin;
        out.write(filled);
    });
}

ctlsign_status ctlsign_tokens_pin_status(ctlsign_tokens* tokens, size_t index, ctlsign_pin_status* status,
                                         ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(status, "status");
        const auto object = get_object(tokens);
        const auto now = pkcs11::Session::open(object->at(index).token).read_pin_status();
        ctlsign_pin_status filled{};
        set_pin_status(filled, now.state, now.tries);
        out.write(filled);
    });
}

ctlsign_status ctlsign_identities_list(ctlsign_tokens* tokens, size_t index, ctlsign_identities** identities,
                                       ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(identities, "identities");
        const auto object = get_object(tokens);
        auto found = std::make_shared<ctlsign_identities>();
        for (auto& identity : sast::list_identities(object->at(index).token)) {
            std::string subject = identity.certificate.subject_text();
            std::string issuer = identity.certificate.issuer_text();
            found->entries.push_back({std::move(identity), std::move(subject), std::move(issuer)});
        }
        out = open_handle(std::move(found));
    });
}

ctlsign_status ctlsign_identities_count(ctlsign_identities* identities, size_t* count, ctlsign_error* error) {
    return guarded(error, [&] {
        auto& out = result(count, "count");
        out = get_object(identities)->entries.size();
    });
}

ctlsign_status ctlsign_identities_get(ctlsign_identities* identities, size_t index,
                                      ctlsign_identity_info* info, ctlsign_error* error) {
    return guarded(error, [&] {
        const StructResult out(info, "info");
        const auto object = get_object(identities);
        const auto& [identity, subject, issuer] = element(std::span(std::as_const(object->entries)), index);
        const sast::Certificate& certificate = identity.certificate;
        ctlsign_identity_info filled{};
        filled.label = identity.label.c_str();
        filled.subject = subject.c_str();
        filled.issuer = issuer.c_str();
        filled.key_id = view(identity.key_id);
        filled.certificate = view(certificate.der());
        filled.serial = view(certificate.serial());
        filled.not_before = certificate.not_before();
        filled.not_after = certificate.not_after();
        filled.key_bits = certificate.key_bits();
        filled.is_rsa = certificate.key_kind() == sast::KeyKind::Rsa ? 1 : 0;
        filled.is_sast = identity.is_sast() ? 1 : 0;
        filled.key_seen = identity.evidence == sast::KeyEvidence::Seen ? 1 : 0;
        out.write(filled);
    });
}
