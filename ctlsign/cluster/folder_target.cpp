#include <cerrno>
#include <filesystem>

#include <ctlsign/cluster/folder_target.hpp>
#include <ctlsign/error.hpp>
#include <ctlsign/files/load.hpp>

namespace ctlsign::cluster {

namespace {

OutputFile written(const std::string& path, const Bytes& octets) {
    OutputFile file = OutputFile::open(path, octets.size());
    file.write(octets);
    return file;
}

}  // namespace

FolderTarget::FolderTarget(const std::string& folder)
    : file_((std::filesystem::path(folder) / "CTLFile.tlv").string()) {
    std::error_code error;
    const auto status = std::filesystem::status(folder, error);
    if (!error && !std::filesystem::is_directory(status))
        error = std::make_error_code(std::errc::not_a_directory);
    if (error) throw Error(error, "open", folder, "the node's folder must be there: is it mounted?");
}

std::optional<Bytes> FolderTarget::load() {
    try {
        return load_file(file_, kMaxFileSize).bytes;
    } catch (const Error& error) {
        if (error.code() == std::errc::no_such_file_or_directory) return std::nullopt;
        throw;
    }
}

void FolderTarget::prepare(const std::optional<Bytes>& octets) {
    const std::optional<Bytes> now = load();
    next_.reset();
    before_.reset();
    if (now) before_.emplace(written(file_, *now));
    // Taking a file away needs no room, but the right to do it.
    if (octets)
        next_.emplace(written(file_, *octets));
    else
        OutputFile::open(file_, 0);
}

void FolderTarget::switch_over() {
    if (next_)
        next_->commit();
    else
        remove_file(file_);
}

void FolderTarget::go_back() {
    if (before_)
        before_->commit();
    else
        remove_file(file_);
}

}  // namespace ctlsign::cluster
