#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <bindings/python/python.hpp>
#include <pkcs11/module.hpp>
#include <pkcs11/token.hpp>
#include <pkcs11/uri.hpp>

namespace ctlsign::python {

/// A module as long as Python keeps it open.
class OpenModule {
  public:
    explicit OpenModule(std::shared_ptr<pkcs11::Module> module)
        : module_(std::move(module)), path_(module_->path()) {}
    ~OpenModule() { close(); }
    OpenModule(const OpenModule&) = delete;
    OpenModule& operator=(const OpenModule&) = delete;

    /// Throws ValueError once it is closed.
    const std::shared_ptr<pkcs11::Module>& get() const {
        if (!module_) throw py::value_error("the module is closed");
        return module_;
    }
    const std::string& path() const noexcept { return path_; }
    void close() {
        // Taken away first: another thread may ask for it meanwhile.
        released(std::exchange(module_, nullptr));
    }

  private:
    std::shared_ptr<pkcs11::Module> module_;
    std::string path_;
};

/// What Python gave; without that the modules that URI or p11-kit name, with a warning for each that does not
/// start.
using Modules = std::optional<std::vector<std::shared_ptr<OpenModule>>>;
std::vector<std::shared_ptr<pkcs11::Module>> to_native(const Modules& modules,
                                                       const std::optional<pkcs11::Uri>& uri);

/// The token that NAME means, the only one when it is None. Throws as sast::choose_token does.
pkcs11::Token choose_token(const std::optional<std::string>& name, const Modules& modules);

}  // namespace ctlsign::python
