#pragma once

#include <chrono>
#include <cstddef>

/// See pkcs11/limits.hpp.
namespace ctlsign::limits {

inline constexpr std::size_t kFile = 16U << 20U;          ///< a list, a signed file, a manifest, certificates
inline constexpr std::size_t kInventory = 1U << 30U;      ///< an inventory of phones
inline constexpr std::size_t kBackup = 1U << 30U;         ///< a backup of a cluster
inline constexpr std::size_t kIntroductions = 1U << 20U;  ///< certificates that clusters show each other
inline constexpr std::size_t kNamesInFolder = 100'000;    ///< files that an SFTP server lists in a folder
inline constexpr std::size_t kNameOnServer = 4096;        ///< the name of a file on an SFTP server
inline constexpr std::size_t kSftpMessage = 64U << 10U;   ///< an SFTP server's answer to a renaming
inline constexpr std::chrono::seconds kSftpStep{15};      ///< each step of an SFTP session
inline constexpr std::size_t kHttpHead = 16U << 10U;      ///< what an HTTP server says before a file
inline constexpr std::chrono::seconds kHttpTransfer{60};  ///< a file from an HTTP server
inline constexpr std::chrono::seconds kTftpWait{1};       ///< the wait for the answer to a TFTP packet
inline constexpr std::size_t kTftpTries = 6;  ///< times that a TFTP packet is sent until it is answered

inline constexpr std::size_t kTvsDatabase = 256U << 20U;  ///< the database of a TVS server
inline constexpr std::size_t kDeviceName = 128;           ///< the name of a phone that asks TVS
// Of a server, unless an option says otherwise.
inline constexpr std::size_t kTvsRequest = 16U << 10U;    ///< a request to TVS (--max-message)
inline constexpr std::size_t kTvsConnections = 8192;      ///< connections to TVS (--max-connections)
inline constexpr std::size_t kTvsOfOneAddress = 256;      ///< those from one address (--max-per-address)
inline constexpr std::chrono::seconds kTvsHandshake{10};  ///< the handshake of TLS (--handshake-timeout)
inline constexpr std::chrono::seconds kTvsAnswer{10};     ///< a request and its answer (--request-timeout)
inline constexpr std::chrono::seconds kTvsIdle{60};       ///< between requests (--idle-timeout)
inline constexpr std::chrono::seconds kTvsStop{5};        ///< answers under way when the server stops

}  // namespace ctlsign::limits
