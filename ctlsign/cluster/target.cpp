#include <ctlsign/cluster/folder_target.hpp>
#include <ctlsign/cluster/sftp_target.hpp>
#include <ctlsign/cluster/target.hpp>

namespace ctlsign::cluster {

std::unique_ptr<Target> open_target(const Node& node) {
    if (const auto address = SftpAddress::parse(node.target))
        return std::make_unique<SftpTarget>(*address, SshTrust{node.host_key, node.identity});
    return std::make_unique<FolderTarget>(node.target);
}

}  // namespace ctlsign::cluster
