// usage: tls_server TOKEN PIN_SOURCE PORT
// A TLS server on the loopback whose key stays in a token or an HSM, which a PKCS#11 URI names. It greets
// each client. While the token is pulled handshakes fail; when it is put back they succeed again.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <csignal>
#include <cstdio>
#include <memory>

#include <bindings/openssl/examples/open.hpp>
#include <bindings/openssl/signer_key.hpp>
#include <pkcs11/free_with.hpp>

namespace {

using namespace ctlsign;
using ContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using ConnectionPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;

void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string("OpenSSL failed: ") + what);
}

ContextPtr make_context(const std::string& uri, const std::string& pin_source) {
    auto pins = sast::make_pin_source(pin_source);
    auto signer = std::make_unique<sast::TokenSigner>(examples::find_identity(uri), *pins);
    signer->unlock();  // a wrong PIN is better found now than by the first client
    const bool pss = signer->takes(pkcs11::InputForm::PaddedBlock);
    const sast::Certificate certificate = signer->facts().certificate;

    ContextPtr context(SSL_CTX_new(TLS_server_method()));
    const auto key = openssl::make_key(std::move(signer), std::move(pins));
    require(context && SSL_CTX_use_certificate_ASN1(context.get(), static_cast<int>(certificate.der().size()),
                                                    certificate.der().data()) == 1,
            "SSL_CTX_use_certificate_ASN1");
    require(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1, "SSL_CTX_use_PrivateKey");
    if (!pss) {  // TLS 1.3 has no signatures without PSS
        require(SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION) == 1 &&
                    SSL_CTX_set1_sigalgs_list(context.get(), "RSA+SHA256:RSA+SHA384:RSA+SHA512") == 1,
                "SSL_CTX_set1_sigalgs_list");
    }
    return context;
}

void greet(SSL_CTX* context, BioPtr client) {
    const timeval patience{10, 0};
    int socket = -1;
    BIO_get_fd(client.get(), &socket);
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const ConnectionPtr connection(SSL_new(context));
    require(connection != nullptr, "SSL_new");
    BIO* const io = client.release();
    SSL_set_bio(connection.get(), io, io);
    if (SSL_accept(connection.get()) == 1) {
        constexpr std::string_view kGreeting = "signed in the token\n";
        SSL_write(connection.get(), kGreeting.data(), static_cast<int>(kGreeting.size()));
        SSL_shutdown(connection.get());
    } else {
        ERR_print_errors_fp(stderr);
    }
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 4) throw std::runtime_error("usage: tls_server TOKEN PIN_SOURCE PORT");
    std::signal(SIGPIPE, SIG_IGN);
    const ContextPtr context = make_context(argv[1], argv[2]);
    const BioPtr listener(BIO_new_accept(("127.0.0.1:" + std::string(argv[3])).c_str()));
    require(listener && BIO_set_bind_mode(listener.get(), BIO_BIND_REUSEADDR) == 1 &&
                BIO_do_accept(listener.get()) == 1,
            "BIO_do_accept");
    std::printf("listening on port %s\n", BIO_get_accept_port(listener.get()));
    std::fflush(stdout);
    for (;;) {
        if (BIO_do_accept(listener.get()) == 1) greet(context.get(), BioPtr(BIO_pop(listener.get())));
    }
} catch (const std::exception& e) {
    std::fprintf(stderr, "tls_server: %s\n", e.what());
    return 1;
}
