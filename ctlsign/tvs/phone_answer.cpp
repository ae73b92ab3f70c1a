#include <ctlsign/tvs/phone_answer.hpp>
#include <pkcs11/error.hpp>

namespace ctlsign::tvs {

phone::TvsAnswer to_phone(const Answer& answer) {
    phone::TvsAnswer read;
    if (answer.status != Status::Valid) return read;
    try {
        read.certificate = sast::Certificate::decode(answer.certificate);
    } catch (const Error&) {
        return read;
    }
    read.roles = answer.roles;
    read.ttl = std::chrono::seconds(answer.ttl.value_or(kDefaultTtl));
    return read;
}

}  // namespace ctlsign::tvs
