#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include <pkcs11/object.hpp>
#include <softhsm-profiles/module/answers.hpp>

namespace ctlsign::virtual_token {

namespace {

// The object in which eTokens tell how many PIN tries are left.
constexpr CK_OBJECT_HANDLE kCounterObject = 0x80005002;

std::optional<CK_ULONG> read_counter(const PinCounter& counter, CK_ATTRIBUTE_TYPE type) {
    switch (type) {
        case CKA_CLASS:
            return CKO_HW_FEATURE;
        case CKA_HW_FEATURE_TYPE:
            return static_cast<CK_ULONG>(pkcs11::HardwareFeatureType::PinCounter);
        case pkcs11::attribute::PinTriesLeft::kType:
            return counter.left();
        case pkcs11::attribute::PinTriesMaximum::kType:
            return counter.maximum();
        default:
            return std::nullopt;
    }
}

// Hardware features are found only by those who ask for their class (PKCS#11 2.40, 4.3).
bool wants_counter(const PinCounter& counter, std::span<const CK_ATTRIBUTE> wanted) {
    const auto matches = [&](const CK_ATTRIBUTE& attribute) {
        const auto value = read_counter(counter, attribute.type);
        return value && attribute.pValue != nullptr && attribute.ulValueLen == sizeof *value &&
               std::memcmp(attribute.pValue, &*value, sizeof *value) == 0;
    };
    return std::ranges::find(wanted, CK_ATTRIBUTE_TYPE{CKA_CLASS}, &CK_ATTRIBUTE::type) != wanted.end() &&
           std::ranges::all_of(wanted, matches);
}

CK_RV read_counter_object(const PinCounter& counter, std::span<CK_ATTRIBUTE> attributes) {
    CK_RV rv = CKR_OK;
    for (CK_ATTRIBUTE& attribute : attributes) {
        const auto value = read_counter(counter, attribute.type);
        if (!value) {
            attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
            rv = CKR_ATTRIBUTE_TYPE_INVALID;
        } else if (attribute.pValue != nullptr && attribute.ulValueLen < sizeof *value) {
            attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
            rv = CKR_BUFFER_TOO_SMALL;
        } else {
            if (attribute.pValue != nullptr) std::memcpy(attribute.pValue, &*value, sizeof *value);
            attribute.ulValueLen = sizeof *value;
        }
    }
    return rv;
}

std::optional<CK_ULONG> find_number(std::span<const CK_ATTRIBUTE> attributes, CK_ATTRIBUTE_TYPE type) {
    const auto found = std::ranges::find(attributes, type, &CK_ATTRIBUTE::type);
    CK_ULONG number = 0;
    if (found == attributes.end() || found->pValue == nullptr || found->ulValueLen != sizeof number)
        return std::nullopt;
    std::memcpy(&number, found->pValue, sizeof number);
    return number;
}

}  // namespace

namespace answers {

CK_RV C_FindObjectsInit(SessionCall& call, CK_ATTRIBUTE* wanted, CK_ULONG count) {
    const CK_RV rv = call.pass(&CK_FUNCTION_LIST::C_FindObjectsInit, wanted, count);
    if (rv != CKR_OK) return rv;
    call.session->finds_nothing = !call.token().settled();
    call.session->finds_counter =
        call.profile().pin.vendor_counter && wants_counter(call.token().pin_counter(), {wanted, count});
    return rv;
}

CK_RV C_FindObjects(SessionCall& call, CK_OBJECT_HANDLE* objects, CK_ULONG room, CK_ULONG* count) {
    const CK_RV rv = call.pass(&CK_FUNCTION_LIST::C_FindObjects, objects, room, count);
    if (rv != CKR_OK) return rv;
    if (call.session->finds_nothing) *count = 0;
    if (call.session->finds_counter && *count < room) {
        objects[(*count)++] = kCounterObject;
        call.session->finds_counter = false;
    }
    return rv;
}

CK_RV C_GetAttributeValue(SessionCall& call, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes,
                          CK_ULONG count) {
    if (object == kCounterObject && call.profile().pin.vendor_counter && attributes != nullptr)
        return read_counter_object(call.token().pin_counter(), {attributes, count});
    return call.pass(&CK_FUNCTION_LIST::C_GetAttributeValue, object, attributes, count);
}

CK_RV C_GenerateKeyPair(SessionCall& call, CK_MECHANISM* mechanism, CK_ATTRIBUTE* public_attributes,
                        CK_ULONG public_count, CK_ATTRIBUTE* private_attributes, CK_ULONG private_count,
                        CK_OBJECT_HANDLE* public_key, CK_OBJECT_HANDLE* private_key) {
    const softhsm::Profile::Key& rules = call.profile().key;
    if (call.token().restricts_key_sizes() && public_attributes != nullptr) {
        const auto bits = find_number({public_attributes, public_count}, CKA_MODULUS_BITS);
        if (bits && std::ranges::find(rules.sizes, *bits) == rules.sizes.end()) return CKR_KEY_SIZE_RANGE;
    }
    std::vector<CK_ATTRIBUTE> extended;
    CK_BBOOL yes = CK_TRUE;
    if (rules.always_authenticate && private_attributes != nullptr) {
        extended.assign(private_attributes, private_attributes + private_count);
        std::erase_if(extended, [](const CK_ATTRIBUTE& a) { return a.type == CKA_ALWAYS_AUTHENTICATE; });
        extended.push_back({CKA_ALWAYS_AUTHENTICATE, &yes, sizeof yes});
        private_attributes = extended.data();
        private_count = extended.size();
    }
    return call.pass(&CK_FUNCTION_LIST::C_GenerateKeyPair, mechanism, public_attributes, public_count,
                     private_attributes, private_count, public_key, private_key);
}

}  // namespace answers
}  // namespace ctlsign::virtual_token
