#include <algorithm>
#include <filesystem>

#include <ctlsign/cluster/meeting_place.hpp>
#include <ctlsign/cluster/ssh_session.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/load.hpp>
#include <ctlsign/limits.hpp>
#include <pkcs11/store.hpp>

namespace ctlsign::cluster {

namespace {

namespace fs = std::filesystem;

class Folder final : public MeetingPlace {
  public:
    explicit Folder(const std::string& path) : path_(path) {
        if (!fs::is_directory(path_))
            throw Error(std::make_error_code(std::errc::not_a_directory), "open", path,
                        "the clusters meet in a folder that is there: is it mounted?");
    }

    std::vector<std::string> list() override {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(path_))
            names.push_back(entry.path().filename().string());
        std::ranges::sort(names);
        return names;
    }
    std::optional<Bytes> load(const std::string& name) override {
        if (!fs::exists(path_ / name)) return std::nullopt;
        return load_file((path_ / name).string(), limits::kIntroductions).bytes;
    }
    void store(const std::string& name, const Bytes& octets) override {
        store_file((path_ / name).string(), octets);
    }

  private:
    fs::path path_;
};

class Server final : public MeetingPlace {
  public:
    Server(const SftpAddress& address, const SshTrust& trust)
        : folder_(address.folder), session_(address, trust, limits::kSftpStep) {}

    std::vector<std::string> list() override {
        std::vector<std::string> names = session_.list(folder_);
        std::ranges::sort(names);
        return names;
    }
    std::optional<Bytes> load(const std::string& name) override {
        return session_.load(path_of(name), limits::kIntroductions);
    }
    void store(const std::string& name, const Bytes& octets) override {
        const std::string next = path_of("." + name + ".next");
        session_.store(next, octets);
        session_.replace(path_of(name), next);
    }

  private:
    std::string path_of(const std::string& name) const { return folder_ + "/" + name; }

    std::string folder_;
    SftpSession session_;
};

}  // namespace

std::unique_ptr<MeetingPlace> open_meeting_place(const std::string& place, const SshTrust& trust) {
    if (const auto address = SftpAddress::parse(place)) return std::make_unique<Server>(*address, trust);
    return std::make_unique<Folder>(place);
}

}  // namespace ctlsign::cluster
