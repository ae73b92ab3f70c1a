#include <ctlsign/cluster/sftp_target.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/limits.hpp>

namespace ctlsign::cluster {

SftpTarget::SftpTarget(const SftpAddress& address, const SshTrust& trust)
    : session_(address, trust, limits::kSftpStep),
      file_(address.folder + "/CTLFile.tlv"),
      next_(address.folder + "/.CTLFile.tlv.next"),
      before_(address.folder + "/.CTLFile.tlv.before") {}

SftpTarget::~SftpTarget() {
    try {
        if (has_next_) session_.remove(next_);
        if (has_before_) session_.remove(before_);
    } catch (const std::exception&) {
        // The next publication takes them away.
        return;
    }
}

std::optional<Bytes> SftpTarget::load() {
    return session_.load(file_, kMaxFileSize);
}

void SftpTarget::store_checked(const std::string& path, const Bytes& octets) {
    session_.store(path, octets);
    const auto stored = session_.load(path, kMaxFileSize);
    if (!stored || !equal(*stored, octets))
        throw Error(Errc::NodeFailed, "reading again", path, "the server has something else");
}

void SftpTarget::prepare(const std::optional<Bytes>& octets) {
    const std::optional<Bytes> now = load();
    session_.remove(next_);
    session_.remove(before_);
    has_before_ = now.has_value();
    has_next_ = octets.has_value();
    if (now) store_checked(before_, *now);
    if (octets) store_checked(next_, *octets);
}

void SftpTarget::switch_over() {
    if (!has_next_) {
        session_.remove(file_);
        return;
    }
    session_.replace(file_, next_);
    has_next_ = false;
}

void SftpTarget::go_back() {
    if (!has_before_) {
        session_.remove(file_);
        return;
    }
    session_.replace(file_, before_);
    has_before_ = false;
}

}  // namespace ctlsign::cluster
