"""A certificate request, a CMS signature and a TLS server with keys that stay in tokens, as `openssl` and Python see them."""

import re
import socket
import ssl
import subprocess

import pytest
from conftest import EXAMPLES, KRAKOW, PROFILES

TOKEN = KRAKOW / "tokens" / "SAST-ADN008580ef"


def where(tokens, token):
    return [f"pkcs11:token={token.label}?module-path={tokens.module}", f"file:{token.pin_file}"]


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def etoken(virtual_tokens):
    return virtual_tokens.create("etoken-pro-64k", "T1", key=f"{TOKEN}.key", certificate=f"{TOKEN}.pem")


def test_a_certificate_request(etoken, virtual_tokens, tmp_path):
    request = tmp_path / "request.pem"
    with request.open("wb") as out:
        subprocess.run([EXAMPLES / "certificate_request", *where(virtual_tokens, etoken), "CN=SAST-ADN1,O=Test"],
                       stdout=out, check=True)
    assert "verify OK" in openssl("req", "-in", request, "-verify", "-noout")
    assert openssl("req", "-in", request, "-pubkey", "-noout") == openssl("x509", "-in", f"{TOKEN}.pem", "-pubkey", "-noout")


def test_a_cms_signature(etoken, virtual_tokens, tmp_path):
    content, signature = tmp_path / "content", tmp_path / "content.p7s"
    content.write_bytes(b"what is signed\n")
    with content.open("rb") as source, signature.open("wb") as out:
        subprocess.run([EXAMPLES / "cms_sign", *where(virtual_tokens, etoken)], stdin=source, stdout=out, check=True)
    verify = ["cms", "-verify", "-binary", "-inform", "DER", "-in", signature, "-content", content, "-noverify"]
    assert "successful" in openssl(*verify)
    content.write_bytes(b"something else\n")
    with pytest.raises(AssertionError, match="content verify error"):
        openssl(*verify)


@pytest.mark.parametrize("example, more", [("certificate_request", ["CN=x"]), ("cms_sign", []), ("tls_server", ["0"])])
def test_what_is_wrong_is_said(etoken, virtual_tokens, tmp_path, example, more):
    (tmp_path / "wrong").write_text("not-the-pin\n")
    uri, _ = where(virtual_tokens, etoken)
    done = subprocess.run([EXAMPLES / example, uri, f"file:{tmp_path / 'wrong'}", *more], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "CKR_PIN_INCORRECT" in done.stderr and etoken.serial in done.stderr and "not-the-pin" not in done.stderr


class Server:
    """Its process is gone with the block."""

    def __init__(self, tokens, token, log):
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen([EXAMPLES / "tls_server", *where(tokens, token), "0"], stdout=subprocess.PIPE, stderr=out, text=True)
        self.context = ssl.create_default_context(cafile=token.certificate_file)
        self.context.check_hostname = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def learn_port(self):
        told = self.process.stdout.readline()
        assert told.startswith("listening on port "), self.log.read_text()
        self.port = int(told.split()[-1])

    def handshake(self):
        """The protocol's version; raises ssl.SSLError when the server cannot sign."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain:
            with self.context.wrap_socket(plain) as connection:
                assert connection.recv(100) == b"signed in the token\n"
                return connection.version()

    def end(self):
        assert self.process.poll() is None, "it ended by itself"
        self.process.terminate()
        self.process.wait()
        return self.log.read_text()


@pytest.mark.parametrize("mechanisms, version", [([], "TLSv1.2"), (["CKM_RSA_X_509"], "TLSv1.3")])
def test_a_tls_server_outlives_its_token_being_pulled(virtual_tokens, tmp_path, mechanisms, version):
    shipped = (PROFILES / "publisher-hsm.toml").read_text()
    profile = tmp_path / "hsm.toml"
    profile.write_text(re.sub(r'"CKM_RSA_PKCS",', ", ".join(f'"{name}"' for name in ["CKM_RSA_PKCS", *mechanisms]) + ",",
                              shipped))
    hsm = virtual_tokens.create(profile, "HSM")
    with Server(virtual_tokens, hsm, tmp_path / "log") as server:
        server.learn_port()
        for _ in range(3):
            assert [server.handshake() for _ in range(3)] == [version] * 3
            hsm.unplug()
            for _ in range(2):
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    server.handshake()
            hsm.plug()
            assert server.handshake() == version
        log = server.end()
    assert hsm.serial in log and "is gone" in log and hsm.pin not in log
