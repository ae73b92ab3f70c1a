#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <ctlsign/tvs/message.hpp>
#include <sast/certificate.hpp>

namespace ctlsign::tvs {

/// One certificate of the database. It may be a SAST when it is in Phone-SAST-trust, or the cluster's own
/// CallManager or ITLRecovery certificate: that is what Role::Sast stands for here.
struct DatabaseEntry {
    sast::Certificate certificate;
    std::vector<Role> roles;
    std::uint32_t ttl = kDefaultTtl;
};

/// What a TVS server answers from: the database, then the CTL file of the server. Immutable; a new one takes
/// its place when either changes.
class CertificateStore {
  public:
    /// CTL may be null.
    CertificateStore(std::span<const DatabaseEntry> database, const TrustList* ctl);

    /// Where an answer came from.
    enum class Source { Nowhere, Database, Ctl };
    struct Found {
        Source source = Source::Nowhere;
        Answer answer{};
    };
    /// By issuer and serial number as sent. A certificate of the CTL alone is no SAST.
    Found find(std::string_view issuer, ByteView serial) const;
    /// By the certificate itself; the answer does not repeat it.
    Found find(ByteView certificate) const;
    /// The message that answers REQUEST, whose type is a request's.
    Message respond(const Message& request, Source& source) const;

    std::size_t database_size() const noexcept { return database_count_; }
    std::size_t ctl_size() const noexcept { return ctl_count_; }

  private:
    struct Entry {
        sast::Certificate certificate;
        std::vector<Role> roles;
        std::uint32_t ttl = kDefaultTtl;
    };
    using Index = std::unordered_map<std::string, std::shared_ptr<const Entry>>;
    void add_ctl(const TrustList& ctl);

    Index database_, database_by_octets_, ctl_, ctl_by_octets_;
    std::size_t database_count_ = 0, ctl_count_ = 0;
};

/// "83E9...AF31cn=Cisco Manufacturing CA;o=Cisco Systems": what an answer is found by.
std::string lookup_key(std::string_view issuer, ByteView serial);

/// "0, 3" of {SAST, TFTP}; "none".
std::string to_text(std::span<const Role> roles);
std::string_view to_text(CertificateStore::Source source) noexcept;

}  // namespace ctlsign::tvs
