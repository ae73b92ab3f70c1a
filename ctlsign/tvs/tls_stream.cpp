#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include <ctlsign/tvs/tls_stream.hpp>
#include <pkcs11/error.hpp>
#include <pkcs11/free_with.hpp>
#include <pkcs11/openssl_error.hpp>
#include <sast/clear_key.hpp>
#include <sast/error.hpp>

namespace ctlsign::tvs {

namespace {

std::string openssl_problem() {
    const std::string reason = take_openssl_reason();
    return reason.empty() ? "the connection was cut" : reason;
}

using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;

X509Ptr to_x509(const sast::Certificate& certificate) {
    const unsigned char* at = certificate.der().data();
    return X509Ptr(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
}

[[noreturn]] void refuse(sast::Errc code, const sast::Certificate& certificate) {
    throw Error(code, "preparing TLS", certificate.subject_text(), openssl_problem());
}

// OpenSSL's security level would judge, too, but that is what the system says, or 0 for the sake of old TLS.
void check_size(const X509* certificate, const sast::Certificate& own) {
    constexpr int kSmallest = 2048;
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    const bool rsa = key != nullptr && (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ||
                                        EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA_PSS);
    if (rsa && EVP_PKEY_get_bits(key) < kSmallest)
        throw Error(sast::Errc::UnsupportedKey, "preparing TLS", own.subject_text(),
                    fmt::format("an RSA key of {} bits is too small: one below {} has to be allowed by name",
                                EVP_PKEY_get_bits(key), kSmallest));
}

void use_identity(SSL_CTX* context, const TlsIdentity& identity, SmallKeys small_keys) {
    const sast::Certificate& own = identity.chain.at(0);
    const X509Ptr certificate = to_x509(own);
    if (certificate && small_keys == SmallKeys::Refused) check_size(certificate.get(), own);
    if (!certificate || SSL_CTX_use_certificate(context, certificate.get()) != 1)
        refuse(sast::Errc::UnsupportedKey, own);
    for (std::size_t i = 1; i < identity.chain.size(); ++i) {
        const X509Ptr above = to_x509(identity.chain[i]);
        if (!above || SSL_CTX_add1_chain_cert(context, above.get()) != 1)
            refuse(sast::Errc::UnsupportedKey, identity.chain[i]);
    }
    if (SSL_CTX_use_PrivateKey(context, identity.key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
        refuse(sast::Errc::KeyMismatch, own);
    if (!identity.makes_pss &&
        (SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) != 1 ||
         SSL_CTX_set1_sigalgs_list(context, "RSA+SHA256:RSA+SHA384:RSA+SHA512:RSA+SHA1") != 1)) {
        refuse(sast::Errc::UnsupportedKey, own);
    }
}

SSL_CTX* make_context(const SSL_METHOD* method, const TlsPolicy& policy) {
    SSL_CTX* context = SSL_CTX_new(method);
    if (context == nullptr) throw std::bad_alloc();
    const bool old = policy.old != OldTls::Refused;
    SSL_CTX_set_min_proto_version(context, old ? TLS1_VERSION : TLS1_2_VERSION);
    if (policy.old == OldTls::Only) SSL_CTX_set_max_proto_version(context, TLS1_VERSION);
    // The SHA-1 and MD5 of TLS 1.0, and small keys, are below every security level but the lowest.
    if (old || policy.small_keys == SmallKeys::Allowed) SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    // Thousands of connections are idle: they give their buffers back.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

int descriptor_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int write_socket(BIO* bio, const char* octets, int size) {
    BIO_clear_retry_flags(bio);
    const auto sent =
        static_cast<int>(::send(descriptor_of(bio), octets, static_cast<std::size_t>(size), MSG_NOSIGNAL));
    if (sent <= 0 && BIO_sock_should_retry(sent) != 0) BIO_set_retry_write(bio);
    return sent;
}

int read_socket(BIO* bio, char* octets, int size) {
    BIO_clear_retry_flags(bio);
    const auto got = static_cast<int>(::recv(descriptor_of(bio), octets, static_cast<std::size_t>(size), 0));
    if (got < 0 && BIO_sock_should_retry(got) != 0) BIO_set_retry_read(bio);
    if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return got;
}

long control_socket(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;  // nothing is held back
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    return 0;
}

// Of a socket that is closed elsewhere. OpenSSL's own writes with write(2): a peer that is gone would end the
// program by SIGPIPE.
BIO* make_bio(int descriptor) {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");
        if (made == nullptr) throw std::bad_alloc();
        BIO_meth_set_write(made, write_socket);
        BIO_meth_set_read(made, read_socket);
        BIO_meth_set_ctrl(made, control_socket);
        return made;
    }();
    BIO* bio = BIO_new(method);
    if (bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, reinterpret_cast<void*>(  // NOLINT(performance-no-int-to-ptr): all that a BIO keeps
                          static_cast<std::intptr_t>(descriptor)));
    BIO_set_init(bio, 1);
    return bio;
}

}  // namespace

TlsIdentity TlsIdentity::decode(std::string_view pem, const std::string& name) {
    TlsIdentity identity;
    identity.chain = sast::Certificate::decode_pem(pem);
    if (identity.chain.empty())
        throw Error(sast::Errc::NoCertificate, "reading", name, "put the certificate into the same file");
    identity.key = sast::decode_clear_key(pem);
    ERR_clear_error();
    if (!identity.key) throw Error(sast::Errc::NoKey, "reading", name, "an unencrypted PEM key is expected");
    return identity;
}

void TlsContext::Free::operator()(ssl_ctx_st* context) const noexcept {
    SSL_CTX_free(context);
}

TlsContext TlsContext::server(const TlsIdentity& identity, const TlsPolicy& policy) {
    TlsContext context(make_context(TLS_server_method(), policy));
    SSL_CTX_set_num_tickets(context.get(), 0);  // a phone asks once
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
    use_identity(context.get(), identity, policy.small_keys);
    return context;
}

TlsContext TlsContext::client(const TlsIdentity* identity, const TlsPolicy& policy) {
    TlsContext context(make_context(TLS_client_method(), policy));
    // The certificate of a TVS server is often self-signed: it is compared, not chained.
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    if (identity != nullptr) use_identity(context.get(), *identity, policy.small_keys);
    return context;
}

void TlsStream::Free::operator()(ssl_st* stream) const noexcept {
    SSL_free(stream);
}

TlsStream::TlsStream(asio::ip::tcp::socket socket, const TlsContext& context, Side side)
    : socket_(std::move(socket)), stream_(SSL_new(context.get())), side_(side) {
    if (!stream_) throw std::bad_alloc();
    socket_.non_blocking(true);
    socket_.set_option(asio::ip::tcp::no_delay(true));
    BIO* bio = make_bio(socket_.native_handle());
    SSL_set_bio(stream_.get(), bio, bio);
}

TlsStream::Progress TlsStream::progress(int result) {
    if (result == 1) return Progress::Done;
    switch (SSL_get_error(stream_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return Progress::WantRead;
        case SSL_ERROR_WANT_WRITE:
            return Progress::WantWrite;
        case SSL_ERROR_ZERO_RETURN:
            return Progress::Closed;
        case SSL_ERROR_SYSCALL:
            shaken_ = false;  // nothing more may be sent
            problem_ = errno == 0 ? "the connection was cut" : std::strerror(errno);
            ERR_clear_error();
            return Progress::Failed;
        default:
            shaken_ = false;
            problem_ = openssl_problem();
            return Progress::Failed;
    }
}

TlsStream::Progress TlsStream::handshake() {
    ERR_clear_error();
    errno = 0;
    const Progress made =
        progress(side_ == Side::Server ? SSL_accept(stream_.get()) : SSL_connect(stream_.get()));
    shaken_ = made == Progress::Done;
    return made;
}

TlsStream::Progress TlsStream::read(std::span<std::uint8_t> into, std::size_t& count) {
    ERR_clear_error();
    errno = 0;
    return progress(SSL_read_ex(stream_.get(), into.data(), into.size(), &count));
}

TlsStream::Progress TlsStream::write(ByteView from, std::size_t& count) {
    ERR_clear_error();
    errno = 0;
    return progress(SSL_write_ex(stream_.get(), from.data(), from.size(), &count));
}

void TlsStream::close() noexcept {
    if (std::exchange(shaken_, false)) SSL_shutdown(stream_.get());
    ERR_clear_error();
    // With octets unread the kernel would reset the connection, and what is not sent yet would be lost.
    std::array<char, 4096> unread;
    for (int i = 0; i < 16 && ::recv(socket_.native_handle(), unread.data(), unread.size(), MSG_DONTWAIT) > 0;
         ++i) {
    }
    asio::error_code ignored;
    socket_.close(ignored);
}

std::optional<sast::Certificate> TlsStream::peer_certificate() const {
    const X509Ptr certificate(SSL_get1_peer_certificate(stream_.get()));
    if (!certificate) return std::nullopt;
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate.get(), &der);
    if (size <= 0) return std::nullopt;
    const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(
        der, [](unsigned char* octets) { OPENSSL_free(octets); });
    try {
        return sast::Certificate::decode({der, static_cast<std::size_t>(size)});
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::string TlsStream::version() const {
    return SSL_get_version(stream_.get());
}

}  // namespace ctlsign::tvs
