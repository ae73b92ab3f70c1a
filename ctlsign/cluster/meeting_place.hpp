#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <pkcs11/bytes.hpp>

namespace ctlsign::cluster {

struct SshTrust;

/// Where clusters leave files for each other. Every function throws the system's code, or Errc::NodeFailed.
class MeetingPlace {
  public:
    virtual ~MeetingPlace() = default;
    MeetingPlace(const MeetingPlace&) = delete;
    MeetingPlace& operator=(const MeetingPlace&) = delete;

    /// The names of its files, sorted.
    virtual std::vector<std::string> list() = 0;
    /// Nothing when there is no such file.
    virtual std::optional<Bytes> load(const std::string& name) = 0;
    /// In place of one of that name.
    virtual void store(const std::string& name, const Bytes& octets) = 0;

  protected:
    MeetingPlace() = default;
};

/// A folder, or sftp://USER@HOST[:PORT]/FOLDER, for which TRUST is.
std::unique_ptr<MeetingPlace> open_meeting_place(const std::string& place, const SshTrust& trust);

}  // namespace ctlsign::cluster
