#include <p11-kit/uri.h>
#include <strings.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <pkcs11/cryptoki.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/uri.hpp>

namespace ctlsign::pkcs11 {

struct Uri::Impl {
    std::unique_ptr<P11KitUri, FreeWith<p11_kit_uri_free>> uri{p11_kit_uri_new()};
};

namespace {

template <std::size_t N>
void to_padded(unsigned char (&field)[N], std::string_view text) {
    std::memset(field, ' ', N);
    std::memcpy(field, text.data(), std::min(N, text.size()));
}

std::optional<std::string> to_optional(const char* text) {
    if (text == nullptr) return std::nullopt;
    return std::string(text);
}

}  // namespace

Uri::Uri(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

bool Uri::looks_like(std::string_view text) noexcept {
    constexpr std::string_view kScheme = "pkcs11:";
    return text.size() >= kScheme.size() && strncasecmp(text.data(), kScheme.data(), kScheme.size()) == 0;
}

Uri Uri::parse(std::string_view text) {
    // Whatever holds a PIN must not be repeated in a message, so this is looked for before anything is said
    // of the URI.
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower.find("pin-value") != std::string::npos) {
        throw Error(Errc::PinInUri, "reading", "a PKCS#11 URI",
                    "use pin-source, or the program's --pin-source");
    }
    const auto refuse = [&](std::string_view why) {
        throw Error(Errc::NotAnUri, "reading", text.size() <= 200 ? text : text.substr(0, 200), why);
    };
    if (!looks_like(text)) refuse("it must begin with pkcs11:");
    if (text.find('\0') != std::string_view::npos) refuse("it holds a NUL");
    auto impl = std::make_shared<Impl>();
    if (!impl->uri) throw std::bad_alloc();
    const std::string terminated = std::string("pkcs11:") + std::string(text.substr(7));
    if (const int rc = p11_kit_uri_parse(terminated.c_str(), P11_KIT_URI_FOR_ANY, impl->uri.get());
        rc != P11_KIT_URI_OK) {
        const char* why = p11_kit_uri_message(rc);
        refuse(why != nullptr ? why : "it cannot be read");
    }
    return Uri(std::move(impl));
}

Uri Uri::of(const Token& token) {
    auto impl = std::make_shared<Impl>();
    if (!impl->uri) throw std::bad_alloc();
    CK_TOKEN_INFO* info = p11_kit_uri_get_token_info(impl->uri.get());
    to_padded(info->label, token.info().label);
    to_padded(info->serialNumber, token.info().serial);
    return Uri(std::move(impl));
}

bool Uri::matches(const Token& token) const {
    P11KitUri* uri = impl_->uri.get();
    if (p11_kit_uri_any_unrecognized(uri) != 0) return false;

    const TokenInfo& info = token.info();
    CK_TOKEN_INFO token_info{};
    to_padded(token_info.label, info.label);
    to_padded(token_info.serialNumber, info.serial);
    to_padded(token_info.manufacturerID, info.manufacturer);
    to_padded(token_info.model, info.model);
    if (p11_kit_uri_match_token_info(uri, &token_info) == 0) return false;

    const auto slot = static_cast<CK_SLOT_ID>(token.slot());
    const CK_SLOT_ID wanted_slot = p11_kit_uri_get_slot_id(uri);
    if (wanted_slot != static_cast<CK_SLOT_ID>(-1) && wanted_slot != slot) return false;

    auto& state = token.module()->state();
    state.adopt_process();
    CK_SLOT_INFO slot_info{};
    CK_INFO module_info{};
    return state.try_call(&CK_FUNCTION_LIST::C_GetSlotInfo, slot, &slot_info) == CKR_OK &&
           p11_kit_uri_match_slot_info(uri, &slot_info) != 0 &&
           state.try_call(&CK_FUNCTION_LIST::C_GetInfo, &module_info) == CKR_OK &&
           p11_kit_uri_match_module_info(uri, &module_info) != 0;
}

std::optional<Bytes> Uri::id() const {
    const CK_ATTRIBUTE* attribute = p11_kit_uri_get_attribute(impl_->uri.get(), CKA_ID);
    if (attribute == nullptr) return std::nullopt;
    const auto* octets = static_cast<const std::uint8_t*>(attribute->pValue);
    return Bytes(octets, octets + attribute->ulValueLen);
}

std::optional<std::string> Uri::object() const {
    const CK_ATTRIBUTE* attribute = p11_kit_uri_get_attribute(impl_->uri.get(), CKA_LABEL);
    if (attribute == nullptr) return std::nullopt;
    return std::string(static_cast<const char*>(attribute->pValue), attribute->ulValueLen);
}

std::optional<std::string> Uri::module_path() const {
    return to_optional(p11_kit_uri_get_module_path(impl_->uri.get()));
}
std::optional<std::string> Uri::module_name() const {
    return to_optional(p11_kit_uri_get_module_name(impl_->uri.get()));
}
std::optional<std::string> Uri::pin_source() const {
    return to_optional(p11_kit_uri_get_pin_source(impl_->uri.get()));
}

std::string Uri::to_text() const {
    char* text = nullptr;
    if (p11_kit_uri_format(impl_->uri.get(), P11_KIT_URI_FOR_ANY, &text) != P11_KIT_URI_OK) {
        throw Error(Errc::NotAnUri, "writing", "a PKCS#11 URI", "an attribute cannot be written");
    }
    std::string result(text);
    std::free(text);
    return result;
}

}  // namespace ctlsign::pkcs11
