#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include <tests/pcsc/piv_card.hpp>

namespace ctlsign::testing {

namespace {

// Status words of ISO 7816-4.
enum Status : std::uint16_t {
    kOk = 0x9000,
    kMoreData = 0x6100,
    kWrongPin = 0x63C0,
    kWrongLength = 0x6700,
    kNotAllowed = 0x6982,
    kBlocked = 0x6983,
    kWrongData = 0x6A80,
    kNotFound = 0x6A82,
    kNoReference = 0x6A88,
    kUnknownInstruction = 0x6D00,
    kUnknownClass = 0x6E00,
};

enum Instruction : std::uint8_t { kVerify = 0x20, kSelect = 0xA4, kGetResponse = 0xC0, kGetData = 0xCB };

const Bytes kApplication = from_hex("A000000308000010000100");

Bytes join(std::initializer_list<ByteView> parts) {
    Bytes whole;
    for (const ByteView part : parts) whole.insert(whole.end(), part.begin(), part.end());
    return whole;
}

Bytes status(unsigned word) {
    return {static_cast<std::uint8_t>(word >> 8U), static_cast<std::uint8_t>(word)};
}

// BER-TLV; TAG in hexadecimal.
Bytes tlv(std::string_view tag, ByteView value) {
    const std::size_t size = value.size();
    Bytes length{static_cast<std::uint8_t>(size)};
    if (size >= 0x100) {
        length = {0x82, static_cast<std::uint8_t>(size >> 8U), static_cast<std::uint8_t>(size)};
    } else if (size >= 0x80) {
        length = {0x81, static_cast<std::uint8_t>(size)};
    }
    return join({from_hex(tag), length, value});
}

// Takes one element with a tag of one octet off the front; nothing when it is not whole.
std::optional<std::pair<std::uint8_t, ByteView>> take_element(ByteView& from) {
    if (from.size() < 2) return std::nullopt;
    const std::uint8_t tag = from[0];
    std::size_t head = 2;
    std::size_t size = from[1];
    if (size >= 0x80) {
        const std::size_t octets = size & 0x7FU;
        if (octets > 2 || from.size() < 2 + octets) return std::nullopt;
        head += octets;
        size = 0;
        for (std::size_t i = 2; i < head; ++i) size = size << 8U | from[i];
    }
    if (from.size() - head < size) return std::nullopt;
    const ByteView value = from.subspan(head, size);
    from = from.subspan(head + size);
    return std::pair{tag, value};
}

// Signs what is padded already (RSA), or a digest (ECDSA).
std::optional<Bytes> sign_raw(EVP_PKEY* key, ByteView input) {
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(key, nullptr),
                                                                              &EVP_PKEY_CTX_free);
    Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
    std::size_t size = signature.size();
    if (EVP_PKEY_sign_init(context.get()) != 1 ||
        (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
         EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) != 1) ||
        EVP_PKEY_sign(context.get(), signature.data(), &size, input.data(), input.size()) != 1) {
        return std::nullopt;
    }
    signature.resize(size);
    return signature;
}

}  // namespace

struct PivCard::Command {
    std::uint8_t cla, ins, p1, p2;
    Bytes data;
};

PivCard::PivCard(std::uint8_t number, std::map<std::uint8_t, Key> keys) : keys_(std::move(keys)) {
    Bytes guid = from_hex("00010203040506070809 0A0B0C0D0E 00");
    guid.back() = number;
    // SP 800-73-4 part 1, table 9: FASC-N of a card outside the government, which sends readers to the GUID.
    objects_[from_hex("5FC102")] =
        tlv("53", join({tlv("30", from_hex("D4E739DA739CED39CE739D836858210842108421C84210C3EB")),
                        tlv("34", guid), tlv("35", as_bytes("20360101")), tlv("3E", {}), tlv("FE", {})}));
    const std::map<std::uint8_t, Bytes> certificates = {{kAuthentication, from_hex("5FC105")},
                                                        {kSignature, from_hex("5FC10A")}};
    for (const auto& [reference, key] : keys_) {
        const Bytes uncompressed{0};
        objects_[certificates.at(reference)] =
            tlv("53", join({tlv("70", key.certificate.der()), tlv("71", uncompressed), tlv("FE", {})}));
    }
    // The discovery object: the PIN is the card application's own.
    objects_[from_hex("7E")] = tlv("7E", join({tlv("4F", kApplication), tlv("5F2F", from_hex("4000"))}));
}

const Bytes& PivCard::answer_to_reset() {
    // T=0 and T=1, historical bytes "PIVEMU", and the check octet.
    static const Bytes kAnswer = from_hex("3B868001 504956454D55 15");
    return kAnswer;
}

void PivCard::power_on() {
    selected_ = verified_ = just_verified_ = false;
    chained_.clear();
    pending_.clear();
}

Bytes PivCard::answer(ByteView apdu) {
    if (apdu.size() < 4) return status(kWrongLength);
    Command command{apdu[0], apdu[1], apdu[2], apdu[3], {}};
    // ISO 7816-3, 12.1: one octet behind the header is the length expected; a zero begins lengths of two.
    ByteView body = apdu.subspan(4);
    if (body.size() > 1) {
        std::size_t size = body[0];
        body = body.subspan(1);
        if (size == 0 && body.size() >= 2) {
            size = std::size_t{body[0]} << 8U | body[1];
            body = body.subspan(2);
            if (body.empty()) size = 0;
        }
        if (size > body.size()) return status(kWrongLength);
        command.data.assign(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size));
    }
    constexpr std::uint8_t kChaining = 0x10;
    if ((command.cla & ~kChaining) != 0) return status(kUnknownClass);
    if (command.ins == kGetResponse) return respond(Bytes(std::exchange(pending_, {})));
    chained_.insert(chained_.end(), command.data.begin(), command.data.end());
    if ((command.cla & kChaining) != 0) return status(kOk);
    command.data = std::exchange(chained_, {});
    if (command.ins == kSelect) return select(command);
    if (!selected_) return status(kUnknownInstruction);
    switch (command.ins) {
        case kGetData:
            return get_data(command);
        case kVerify:
            return verify(command);
        case kGeneralAuthenticate:
            return general_authenticate(command);
        default:
            return status(kUnknownInstruction);
    }
}

Bytes PivCard::respond(ByteView data) {
    constexpr std::size_t kMost = 256;
    if (data.size() <= kMost) return join({data, status(kOk)});
    pending_.assign(data.begin() + kMost, data.end());
    const std::size_t rest = pending_.size() < kMost ? pending_.size() : 0;  // 0: 256 or more
    return join({data.first(kMost), status(static_cast<unsigned>(kMoreData | rest))});
}

Bytes PivCard::select(const Command& command) {
    constexpr std::uint8_t kByName = 0x04;
    const bool ours = command.p1 == kByName && command.data.size() >= 5 &&
                      command.data.size() <= kApplication.size() &&
                      std::ranges::equal(command.data, ByteView(kApplication).first(command.data.size()));
    if (!ours) return status(kNotFound);
    selected_ = true;
    return respond(
        tlv("61", join({tlv("4F", from_hex("000010000100")), tlv("79", tlv("4F", from_hex("A000000308"))),
                        tlv("50", as_bytes("PIV Card Application test"))})));
}

Bytes PivCard::get_data(const Command& command) {
    ByteView data = command.data;
    const auto name = take_element(data);
    if (!name || name->first != 0x5C) return status(kWrongData);
    const auto object = objects_.find(Bytes(name->second.begin(), name->second.end()));
    return object == objects_.end() ? status(kNotFound) : respond(object->second);
}

Bytes PivCard::verify(const Command& command) {
    constexpr std::uint8_t kApplicationPin = 0x80;
    constexpr std::uint8_t kForget = 0xFF;
    if (command.p2 != kApplicationPin) return status(kNoReference);
    if (command.p1 == kForget) {
        verified_ = just_verified_ = false;
        return status(kOk);
    }
    if (command.data.empty() && verified_) return status(kOk);
    if (tries_ == 0) return status(kBlocked);
    if (command.data.empty()) return status(kWrongPin | tries_);
    Bytes expected(as_bytes(kPin).begin(), as_bytes(kPin).end());
    expected.resize(8, 0xFF);
    verified_ = just_verified_ = equal(command.data, expected);
    tries_ = verified_ ? kTries : tries_ - 1;
    if (verified_) return status(kOk);
    return status(tries_ == 0 ? unsigned{kBlocked} : kWrongPin | tries_);
}

Bytes PivCard::general_authenticate(const Command& command) {
    const auto key = keys_.find(command.p2);
    if (key == keys_.end()) return status(kNoReference);
    const bool every_time = key->first == kSignature;
    if (!verified_ || (every_time && !just_verified_)) return status(kNotAllowed);
    just_verified_ = false;
    // SP 800-73-4 part 2, 3.2.4: a dynamic authentication template with the challenge to be signed.
    ByteView data = command.data;
    const auto whole = take_element(data);
    if (!whole || whole->first != 0x7C) return status(kWrongData);
    ByteView elements = whole->second;
    while (const auto element = take_element(elements)) {
        if (element->first != 0x81) continue;
        const auto signature = sign_raw(key->second.key.get(), element->second);
        return signature ? respond(tlv("7C", tlv("82", *signature))) : status(kWrongData);
    }
    return status(kWrongData);
}

std::unique_ptr<PivCard> make_piv_card(std::uint8_t number, const std::string& stem) {
    return std::make_unique<PivCard>(
        number, std::map<std::uint8_t, PivCard::Key>{
                    {PivCard::kAuthentication, {load_key(stem + ".key"), load_certificate(stem + ".pem")}}});
}

}  // namespace ctlsign::testing
