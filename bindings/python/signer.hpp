#pragma once

#include <memory>
#include <optional>
#include <utility>

#include <bindings/python/callbacks.hpp>
#include <bindings/python/error.hpp>
#include <bindings/python/python.hpp>
#include <sast/identity.hpp>
#include <sast/signer.hpp>

namespace ctlsign::python {

/// A signer of Python's: for as many threads as there are, until it is closed.
class OpenSigner {
  public:
    OpenSigner(std::unique_ptr<Callbacks> callbacks, std::unique_ptr<sast::Signer> signer,
               std::optional<sast::Identity> identity)
        : callbacks_(std::move(callbacks)),
          signer_(std::move(signer)),
          facts_(signer_->facts()),
          identity_(std::move(identity)) {}
    virtual ~OpenSigner() {  // nobody's turn any more
        PyThreadState* const python = PyEval_SaveThread();
        signer_.reset();
        identity_.reset();
        PyEval_RestoreThread(python);
    }
    OpenSigner(const OpenSigner&) = delete;
    OpenSigner& operator=(const OpenSigner&) = delete;

    /// WORK with the signer when it is this thread's turn, without Python's lock. Throws ValueError once it
    /// is closed.
    template <typename Work>
    auto use(Work work) {
        return turn_.take([&] {
            if (!signer_) throw py::value_error("the signer is closed");
            return identity_ ? about(identity_->token, [&] { return work(*signer_); }) : work(*signer_);
        });
    }
    virtual void unlock() = 0;
    void close() {
        turn_.take([&] { signer_.reset(); });
        released(std::exchange(identity_, std::nullopt));
    }

    const sast::Signer::Facts& facts() const noexcept { return facts_; }
    /// Of a token, as it was opened. Throws ValueError once it is closed.
    const sast::Identity& identity() const {
        if (!identity_) throw py::value_error("the signer is closed");
        return *identity_;
    }
    Callbacks& callbacks() noexcept { return *callbacks_; }

  private:
    std::unique_ptr<Callbacks> callbacks_;
    std::unique_ptr<sast::Signer> signer_;
    sast::Signer::Facts facts_;
    std::optional<sast::Identity> identity_;
    Turn turn_;
};

/// The digest that TEXT names. Throws ValueError.
Digest to_digest(const std::string& text);

}  // namespace ctlsign::python
