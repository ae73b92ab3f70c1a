#pragma once

#include <string>

#include <ctlsign/cluster/ssh_session.hpp>
#include <ctlsign/cluster/target.hpp>

namespace ctlsign::cluster {

/// A folder on a server, over SFTP. A server without posix-rename@openssh.com serves none for a moment, which
/// phones take as nothing new.
class SftpTarget final : public Target {
  public:
    SftpTarget(const SftpAddress& address, const SshTrust& trust);
    ~SftpTarget() override;

    std::optional<Bytes> load() override;
    void prepare(const std::optional<Bytes>& octets) override;
    void switch_over() override;
    void go_back() override;

  private:
    void store_checked(const std::string& path, const Bytes& octets);

    SftpSession session_;
    std::string file_, next_, before_;  ///< what is served; what stands beside it while nodes are switched
    bool has_next_ = false, has_before_ = false;
};

}  // namespace ctlsign::cluster
