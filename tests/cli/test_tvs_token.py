"""tvs serve with its key on a token."""

import contextlib
import json
import os
import pty
import select
import signal
import ssl
import subprocess
import time

import pytest
from conftest import KRAKOW, PROGRAM
from tvs_server import UNKNOWN, ask, captured_request, connect, der, keys, message, openssl, receive, serve  # noqa: F401  (fixtures)


@pytest.fixture
def profile():
    return "plain-softhsm"


@pytest.fixture
def token(ctlsign, tmp_path, keys, monkeypatch, profile):
    """Plugs and pulls the token that holds the server's key."""
    env = {"CTLSIGN_VIRTUAL_TOKENS": str(tmp_path / "virtual")}
    openssl("rsa", "-in", keys / "tvs.pem", "-out", tmp_path / "key.pem")
    ctlsign("virtual", "create", "TVS", "--profile", profile, "--key", tmp_path / "key.pem", "--certificate", keys / "tvs.pem", env=env)
    env |= json.loads(ctlsign("virtual", "env", "--json", env=env).out)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return lambda verb: ctlsign("virtual", verb, "TVS", env=env)


def test_the_key_on_a_token(serve, token, tmp_path, keys):
    """It outlives a pull: handshakes fail meanwhile, the service does not."""
    server = serve("--pin-source", f"file:{tmp_path}/virtual/tokens/TVS/user-pin", key="pkcs11:token=TVS")
    with connect(server.port) as connection:
        assert connection.getpeercert(binary_form=True) == der(keys / "tvs.pem")
    for _ in range(2):
        assert ask(server.port, captured_request()) == message(4, UNKNOWN)
        token("unplug")
        with pytest.raises((ssl.SSLError, OSError)):
            ask(server.port, captured_request())
        server.wait_for("handshake failed: .* is gone")
        token("plug")
    assert ask(server.port, captured_request()) == message(4, UNKNOWN)
    # A reload opens the token again; without it, what was loaded before goes on.
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("serving 0 certificates of the database", 2)
    assert ask(server.port, captured_request()) == message(4, UNKNOWN)
    token("unplug")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("going on with what was loaded before")
    token("plug")
    assert ask(server.port, captured_request()) == message(4, UNKNOWN)
    server.stop()
    assert (tmp_path / "virtual/tokens/TVS/user-pin").read_text().strip() not in server.text()


@pytest.mark.parametrize("profile", ["publisher-hsm"])
@pytest.mark.usefixtures("token")
def test_a_token_that_cannot_make_pss_speaks_tls_1_2(serve, tmp_path):
    server = serve("--pin-source", f"file:{tmp_path}/virtual/tokens/TVS/user-pin", key="pkcs11:token=TVS")
    with connect(server.port) as connection:
        assert connection.version() == "TLSv1.2"
        connection.sendall(captured_request())
        assert receive(connection) == message(4, UNKNOWN)


def test_the_question_for_the_pin_can_be_ended(token):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAM, [PROGRAM, "tvs", "serve", "--key", "pkcs11:token=TVS", "--ctl", str(KRAKOW / "CTLFile-tokens.tlv"), "--listen",
                           "127.0.0.1:0"])
    shown, deadline = b"", time.monotonic() + 60
    try:
        while b"PIN of" not in shown:
            assert time.monotonic() < deadline
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 1000)
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError):
                os.write(terminal, b"\x03")  # again and again: OpenSSL does not hear one that comes just before it reads
            if select.select([terminal], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    os.read(terminal, 1000)
    except (AssertionError, OSError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)


def test_a_pulled_token_holds_up_nobody_whose_handshake_is_done(serve, token, tmp_path):
    server = serve("--pin-source", f"file:{tmp_path}/virtual/tokens/TVS/user-pin", "--wait", 60, "--threads", 2, key="pkcs11:token=TVS")
    with connect(server.port) as connection:
        token("unplug")
        newcomers = [subprocess.Popen(["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port}"], stdin=subprocess.PIPE,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]
        try:
            server.wait_for("handshake failed: .* is gone", 3)
            connection.sendall(captured_request())
            assert receive(connection) == message(4, UNKNOWN)
        finally:
            for newcomer in newcomers:
                newcomer.kill()
                newcomer.communicate()
        assert "put it back" not in server.text() and "warning: --wait" in server.text()
