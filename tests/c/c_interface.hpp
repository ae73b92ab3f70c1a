#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <ctlsign/ctlsign.h>
#include <softhsm-profiles/gtest/virtual_token.hpp>
#include <tests/support/certificates.hpp>
#include <tests/support/data.hpp>

namespace ctlsign::testing {

inline constexpr const char* kGolden = "krakow/CTLFile-tokens.tlv";
inline constexpr const char* kManifest = "krakow/CTLFile-tokens.toml";
inline constexpr const char* kTokenKey = "krakow/tokens/SAST-ADN008580ef";
inline constexpr const char* kSgn = "open-tools/SEP001122334455.cnf.xml.sgn";

/// A struct as a caller passes it.
template <typename T>
T sized() {
    T value{};
    value.size = sizeof value;
    return value;
}

inline ctlsign_view to_view(ByteView bytes) {
    return {bytes.data(), bytes.size()};
}
inline ctlsign_view to_view(const ctlsign_bytes& bytes) {
    return {bytes.data, bytes.size};
}
inline Bytes to_bytes(const ctlsign_view& view) {
    return {view.data, view.data + view.size};
}
inline std::string to_string(const ctlsign_view& view) {
    return {reinterpret_cast<const char*>(view.data), view.size};
}

/// What a function filled; freed here.
class Filled {
  public:
    Filled() = default;
    Filled(const Filled&) = delete;
    Filled& operator=(const Filled&) = delete;
    ~Filled() { ctlsign_bytes_free(&bytes_); }
    ctlsign_bytes* out() {
        ctlsign_bytes_free(&bytes_);
        return &bytes_;
    }
    ctlsign_view view() const { return to_view(bytes_); }
    Bytes bytes() const { return to_bytes(view()); }
    const char* text() const { return reinterpret_cast<const char*>(bytes_.data); }

  private:
    ctlsign_bytes bytes_{};
};

/// A handle, closed here.
template <typename T>
class Handle {
  public:
    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { close(); }
    T** out() {
        close();
        return &handle_;
    }
    // NOLINTNEXTLINE(google-explicit-constructor): stands where the handle would
    operator T*() const { return handle_; }
    void close() { EXPECT_EQ(ctlsign_close(std::exchange(handle_, nullptr), nullptr), CTLSIGN_STATUS_OK); }

  private:
    T* handle_ = nullptr;
};

/// Every test leaves no handle open.
class CInterface : public ::testing::Test {
  protected:
    ~CInterface() override { EXPECT_EQ(ctlsign_open_handles(), 0U); }

    /// The status, and for a failure that the details say the same.
    ctlsign_status ok(ctlsign_status status) const {
        EXPECT_EQ(status, CTLSIGN_STATUS_OK) << error.text;
        EXPECT_EQ(error.status, status);
        return status;
    }
    mutable ctlsign_error error{};
};

/// One virtual eToken that holds the key of the golden list, and a person who knows its PIN.
class CToken : public CInterface {
  protected:
    void plug_token() {
        softhsm::Key key;
        key.pem = read_text(std::string(kTokenKey) + ".key");
        key.certificate = load_certificate(std::string(kTokenKey) + ".pem");
        token.emplace("etoken-pro-64k", "A", key);
        pin = token->pin();
    }
    void open_modules() {
        if (!token) plug_token();
        const std::string path = VirtualToken::module();
        auto options = sized<ctlsign_module_options>();
        options.path = path.c_str();
        ok(ctlsign_modules_open(&options, modules.out(), &error));
    }
    /// Asks this test for the PIN and for a token that is gone.
    ctlsign_signer_options options() {
        auto options = sized<ctlsign_signer_options>();
        options.user = this;
        options.wait_ms = 60'000;
        options.pin = [](void* user, const ctlsign_pin_request* request, char* out, size_t capacity,
                         size_t* length) {
            return static_cast<CToken*>(user)->ask(*request, out, capacity, length);
        };
        options.wait = [](void* user, const char* gone_label, const char* gone_serial, uint32_t wait_ms) {
            return static_cast<CToken*>(user)->wait(gone_label, gone_serial, wait_ms);
        };
        return options;
    }
    void open_signer() {
        if (modules == nullptr) open_modules();
        const auto given = options();
        ok(ctlsign_signer_open_token(modules, nullptr, &given, signer.out(), &error));
    }
    void load_manifest() { ok(ctlsign_manifest_load(data_path(kManifest).c_str(), manifest.out(), &error)); }

    int ask(const ctlsign_pin_request& request, char* out, size_t capacity, size_t* length) {
        ++asked;
        label = request.label == nullptr ? "" : request.label;
        serial = request.serial == nullptr ? "" : request.serial;
        subject = request.subject;
        tries_left = request.tries_left;
        kind = request.kind;
        if (on_ask) on_ask();
        if (refuse) return 1;
        if (out == nullptr) return 0;
        EXPECT_GE(capacity, pin.size());
        std::memcpy(out, pin.data(), std::min(capacity, pin.size()));
        *length = pin.size();
        return 0;
    }
    int wait(const char* gone_label, const char* gone_serial, uint32_t wait_ms) {
        ++waited;
        EXPECT_EQ(gone_label, token->label());
        EXPECT_EQ(gone_serial, token->serial());
        EXPECT_EQ(wait_ms, 60'000U);
        if (refuse) return 1;
        if (on_wait) {
            on_wait();
        } else {
            token->plug();
        }
        return 0;
    }

    std::optional<VirtualToken> token;
    Handle<ctlsign_modules> modules;
    Handle<ctlsign_signer> signer;
    Handle<ctlsign_manifest> manifest;
    std::string pin, label, serial, subject;
    long tries_left = 0;
    ctlsign_pin_kind kind = -1;
    int asked = 0, waited = 0;
    bool refuse = false;
    std::function<void()> on_ask, on_wait;
};

}  // namespace ctlsign::testing
