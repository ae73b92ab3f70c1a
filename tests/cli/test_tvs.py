"""tvs serve, query and import-database, against openssl s_client, Python's ssl and hand-made bytes."""

import contextlib
import hashlib
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import KRAKOW, PROGRAM

PUBLISHER = KRAKOW / "certificates" / "cucm-1051-a-pub.pem"
TOKEN = KRAKOW / "tokens" / "SAST-ADN0054f509.pem"
DEVICE = b"\x01CP-8861-SEPB000B4BA0AEE"


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


def der(path):
    return openssl("x509", "-in", path, "-outform", "DER")


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """The server's certificate and key in one file; another one; a small one."""
    folder = tmp_path_factory.mktemp("keys")
    for name, bits in (("tvs", 2048), ("next", 2048), ("small", 1024)):
        openssl("req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-keyout", folder / "key", "-out", folder / "certificate",
                "-subj", f"/CN=TVS-{name}", "-days", "30")
        (folder / f"{name}.pem").write_text((folder / "certificate").read_text() + (folder / "key").read_text())
    return folder


def make_database(path, rows):
    """As the open server's tvsctl makes it: certificates are PEM, roles names."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE certificates (certificate_hash TEXT PRIMARY KEY, serial_number TEXT NOT NULL, "
                         "subject_name TEXT NOT NULL, issuer_name TEXT NOT NULL, certificate TEXT NOT NULL, "
                         "roles TEXT NOT NULL, ttl INTEGER) WITHOUT ROWID")
        for pem, roles, ttl in rows:
            database.execute("INSERT INTO certificates VALUES (?, '1', 's', 'i', ?, ?, ?)",
                             (hashlib.sha256(der(pem)).hexdigest(), pem.read_bytes(), roles, ttl))
        database.commit()
    return path


class Server:
    def __init__(self, folder, *options):
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "tvs", "serve", *map(str, options)], stdout=subprocess.PIPE, stderr=log,
                                            text=True)
        addresses = options.count("--listen")
        self.ports = [int(self.process.stdout.readline().rsplit(":", 1)[1]) for _ in range(addresses)]
        self.port = self.ports[0]

    def wait_for(self, pattern, count=1):
        deadline = time.monotonic() + 60
        while len(re.findall(pattern, self.text(), re.M)) < count:
            assert self.process.poll() is None and time.monotonic() < deadline, self.text()
            time.sleep(0.02)

    def text(self):
        return self.log.read_text()

    def counters(self):
        seen = self.text().count("connections=")
        self.process.send_signal(signal.SIGUSR1)
        self.wait_for("connections=", seen + 1)
        return self.last_counters()

    def last_counters(self):
        line = [line for line in self.text().splitlines() if "connections=" in line][-1]
        return {name: int(value) for name, value in re.findall(r"([a-z-]+)=(\d+)", line)}

    def memory(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0, self.text()
        self.process.stdout.close()


@pytest.fixture
def serve(tmp_path, keys):
    """Starts servers on free ports of the loopback address."""
    servers = []

    def start(*options, listen=("127.0.0.1:0",), key="tvs.pem"):
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        listening = [word for address in listen for word in ("--listen", address)]
        if "--ctl" not in options:
            options = ["--ctl", KRAKOW / "CTLFile-tokens.tlv", *options]
        server = Server(folder, "--key", key if str(key).startswith("pkcs11:") else keys / key, *listening, *options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()
        server.process.stdout.close()


def element(tag, value):
    return bytes([tag]) + len(value).to_bytes(2, "big") + value


def message(kind, body, identifier=1001):
    return b"\x57\x01" + bytes([kind, 0]) + identifier.to_bytes(4, "big") + len(body).to_bytes(2, "big") + body


def captured_request():
    """Byte for byte what an 8861 sent."""
    return message(3, element(1, DEVICE) + element(3, b"CN=ucm11pub.stormin.local;OU=IST;O=Stormin;L=Brisbane;ST=QLD;C=AU\0") +
                   element(4, b"CN=stormin-WIN2012-CA\0") + element(5, bytes.fromhex("24000000179479B8F124AC3F3B000000000017")))


def publisher_request(identifier=7):
    return message(1, element(1, DEVICE) + element(2, der(PUBLISHER)), identifier)


def context(**options):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    for name, value in options.items():
        setattr(tls, name, value)
    return tls


def connect(port, host="127.0.0.1", source=None, tls=None):
    plain = socket.create_connection((host, port), timeout=30, source_address=(source, 0) if source else None)
    return (tls or context()).wrap_socket(plain)


def receive(connection):
    """One message, or what came before the connection was closed."""
    data = b""
    while len(data) < 10 or len(data) < 10 + int.from_bytes(data[8:10], "big"):
        chunk = connection.recv(65536)
        if not chunk:
            return data
        data += chunk
    return data


def ask(port, request, **options):
    with connect(port, **options) as connection:
        connection.sendall(request)
        return receive(connection)


UNKNOWN = element(7, b"\x01")


# --- the protocol ---------------------------------------------------------------------------------------------


def test_the_captured_request_by_s_client(serve):
    server = serve()
    client = subprocess.Popen(["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port}"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert len(captured_request()) == 153
    client.stdin.write(captured_request())
    client.stdin.flush()
    answer = client.stdout.read(14)
    client.kill()
    client.communicate()
    assert answer == message(4, UNKNOWN)
    assert 'issuer="CN=stormin-WIN2012-CA" serial=24000000179479B8F124AC3F3B000000000017 invalid' in server.text()


def test_an_answer_has_the_parts_of_the_captured_one(serve, tmp_path):
    database = make_database(tmp_path / "db", [(PUBLISHER, "SAST,TFTP", 86400)])
    server = serve("--database", database)
    certificate = der(PUBLISHER)
    header = KRAKOW.joinpath("CTLFile-tokenless.tlv").read_bytes()
    name_length = int.from_bytes(header[14:16], "big")
    assert header[13] == 4, "SIGNERNAME"
    at = 16 + name_length
    serial = header[at + 3:at + 3 + int.from_bytes(header[at + 1:at + 3], "big")]
    at += 3 + len(serial)
    ca = header[at + 3:at + 3 + int.from_bytes(header[at + 1:at + 3], "big")]
    request = message(3, element(1, DEVICE) + element(3, header[16:16 + name_length]) + element(4, ca) + element(5, serial))
    expected = element(7, b"\0") + element(2, certificate) + element(8, b"\0\x03") + element(9, bytes([0, 1, 0x51, 0x80]))
    assert ask(server.port, request) == message(4, expected)
    assert ask(server.port, request, tls=context(maximum_version=ssl.TLSVersion.TLSv1_2)) == message(4, expected)
    swapped = message(3, element(5, ca) + element(4, serial) + element(1, DEVICE) + element(3, header[16:16 + name_length]))
    assert ask(server.port, swapped) == message(4, expected)


def test_both_kinds_of_question_on_one_connection(serve):
    server = serve()
    with connect(server.port) as connection:
        for identifier in (1, 0xFFFFFFFF):
            connection.sendall(publisher_request(identifier))
            expected = element(7, b"\0") + element(8, b"\x02") + element(9, bytes([0, 1, 0x51, 0x80]))
            assert receive(connection) == message(2, expected, identifier)
        request = captured_request()
        for octet in request:
            connection.sendall(bytes([octet]))
        assert receive(connection) == message(4, UNKNOWN)
        connection.sendall(request + request)
        assert receive(connection) + receive(connection) == message(4, UNKNOWN) * 2


MALFORMED = {
    "protocol": b"\x58" + captured_request()[1:],
    "version": b"\x57\x02" + captured_request()[2:],
    "type": message(9, element(1, DEVICE)),
    "response": message(4, UNKNOWN),
    "tag": message(3, element(1, DEVICE) + element(200, b"")),
    "element-length": message(3, element(1, DEVICE) + b"\x03\xff\xff"),
    "missing": message(3, element(1, DEVICE)),
    "twice": message(3, element(1, DEVICE) * 2),
    "device": message(1, element(1, b"\x01a\nb") + element(2, b"\x30\x00")),
    "oversized": message(1, element(1, DEVICE) + element(2, bytes(40000))),
    "empty": message(3, b""),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_request_closes_the_connection_alone(serve, kind):
    server = serve()
    with connect(server.port) as other:
        with connect(server.port) as connection:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                connection.sendall(MALFORMED[kind])
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                assert connection.recv(100) == b""
        other.sendall(captured_request())
        assert receive(other) == message(4, UNKNOWN)
    server.wait_for("ctlsign: warning: 127.0.0.1:.*malformed")
    assert server.counters()["malformed"] == 1


def test_a_request_cut_off(serve):
    server = serve()
    with connect(server.port) as connection:
        connection.sendall(captured_request()[:100])
    server.wait_for("closed in the middle of a request")
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall(captured_request())
        with contextlib.suppress(ConnectionError):
            plain.recv(100)
    server.wait_for("handshake failed")
    assert ask(server.port, captured_request()) == message(4, UNKNOWN)


# --- TLS ------------------------------------------------------------------------------------------------------


def test_old_tls_only_when_asked(serve):
    old = context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(serve().port, captured_request(), tls=old)
    server = serve("--allow-tls10")
    assert ask(server.port, captured_request(), tls=old) == message(4, UNKNOWN)
    assert "TLSv1 " in server.text() and "warning: TLS 1.0 and 1.1 are allowed" in server.text()
    assert ask(server.port, captured_request()) == message(4, UNKNOWN)


def test_small_keys_only_when_asked(serve, ctlsign, keys):
    refused = ctlsign("tvs", "serve", "--key", keys / "small.pem", "--ctl", KRAKOW / "CTLFile-tokens.tlv", "--listen", "127.0.0.1:0", expect=5)
    assert "too small" in refused.err and "has to be allowed" in refused.err
    server = serve("--allow-small-keys", key="small.pem")
    weak = context()
    weak.set_ciphers("DEFAULT:@SECLEVEL=0")
    assert ask(server.port, captured_request(), tls=weak) == message(4, UNKNOWN)


@pytest.mark.parametrize("asked", ["--allow-tls10", "SECLEVEL"])
def test_small_keys_are_not_asked_for_with_something_else(ctlsign, keys, tmp_path, asked):
    (tmp_path / "openssl.cnf").write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nCipherString = DEFAULT:@SECLEVEL=1\n")
    options, env = ([asked], {}) if asked.startswith("--") else ([], {"OPENSSL_CONF": str(tmp_path / "openssl.cnf")})
    refused = ctlsign("tvs", "serve", "--key", keys / "small.pem", "--ctl", KRAKOW / "CTLFile-tokens.tlv", "--listen", "127.0.0.1:0", *options,
                      env=env, expect=5)
    assert "preparing TLS on CN=TVS-small" in refused.err and "1024 bits is too small" in refused.err and "trust list" not in refused.err


def test_ipv6(serve, ctlsign):
    server = serve(listen=("127.0.0.1:0", "[::1]:0"))
    assert ask(server.ports[1], captured_request(), host="::1") == message(4, UNKNOWN)
    assert ask(server.ports[0], captured_request()) == message(4, UNKNOWN)
    ctlsign("tvs", "query", f"[::1]:{server.ports[1]}", "--certificate", PUBLISHER, "--verify")


# --- those who take more than their share ---------------------------------------------------------------------


def test_slow_clients_leave_the_others_served_and_are_sent_away(serve):
    server = serve("--handshake-timeout", 2, "--request-timeout", 2, "--threads", 1)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    slow = [connect(server.port) for _ in range(20)]
    request = captured_request()
    began = time.monotonic()
    for octet in request[:4]:
        for connection in slow:
            connection.sendall(bytes([octet]))
        assert ask(server.port, request) == message(4, UNKNOWN)
    # One octet at a time is no way to stay: the time counts from the first.
    server.wait_for("request too slow", 20)
    server.wait_for("handshake too slow", 50)
    assert time.monotonic() - began < 60
    assert server.counters()["timed-out"] == 70
    for connection in silent + slow:
        connection.close()


def test_a_flood_of_one_address_leaves_the_others_served(serve):
    server = serve("--max-per-address", 8)
    flood = [socket.create_connection(("127.0.0.1", server.port), source_address=("127.0.0.2", 0)) for _ in range(300)]
    assert ask(server.port, captured_request(), source="127.0.0.3") == message(4, UNKNOWN)
    counters = server.counters()
    assert counters["over-address-limit"] == 292 and counters["over-limit"] == 0
    for connection in flood:
        connection.close()
    deadline = time.monotonic() + 60
    while True:  # its places are free again
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert ask(server.port, captured_request(), source="127.0.0.2") == message(4, UNKNOWN)
            break
        assert time.monotonic() < deadline


def test_who_never_stops_asking_leaves_the_others_served(serve):
    server = serve("--threads", 1)
    requests = captured_request() * 400
    clients = [subprocess.Popen(["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port}", "-bind", "127.0.0.2"],
                                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]

    def keep_asking(client):
        with contextlib.suppress(OSError):
            while True:
                client.stdin.write(requests)

    threads = [threading.Thread(target=keep_asking, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        server.wait_for("QUERY_CERT_REQ", 1000)
        began = time.monotonic()
        for _ in range(5):
            assert ask(server.port, captured_request(), source="127.0.0.3") == message(4, UNKNOWN)
        assert time.monotonic() - began < 15
    finally:
        for client in clients:
            client.kill()
        for thread in threads:
            thread.join()
        for client in clients:
            client.wait()
            with contextlib.suppress(OSError):
                client.stdin.close()


def test_no_more_connections_than_allowed(serve):
    server = serve("--max-connections", 5)
    kept = [connect(server.port) for _ in range(5)]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(server.port)
    kept[0].sendall(captured_request())
    assert receive(kept[0]) == message(4, UNKNOWN)
    assert server.counters()["over-limit"] == 1
    for connection in kept:
        connection.close()


def test_two_thousand_idle_connections(serve):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.fail(f"this machine allows {hard} open files: 5000 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (5000, hard))
    server = serve("--max-per-address", 4000, "--idle-timeout", 600)
    before = server.memory()
    tls = context()
    idle = [connect(server.port, tls=tls) for _ in range(2000)]
    per_connection = (server.memory() - before) / 2000
    assert server.counters()["open"] == 2000
    assert ask(server.port, captured_request()) == message(4, UNKNOWN)
    for connection in (idle[0], idle[999], idle[1999]):
        connection.sendall(captured_request())
        assert receive(connection) == message(4, UNKNOWN)
    if "asan" not in os.environ["CTLSIGN_BUILD"]:
        assert per_connection < 100_000
    server.stop()
    for connection in idle:
        connection.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_connections_end_quietly(serve):
    server = serve("--idle-timeout", 1)
    with connect(server.port) as connection:
        assert connection.recv(1) == b""
    assert "too slow" not in server.text() and server.counters()["timed-out"] == 0


# --- a service's life -----------------------------------------------------------------------------------------


def test_the_ctl_is_read_again_when_it_changes(serve, tmp_path):
    ctl = tmp_path / "CTLFile.tlv"
    server = serve("--ctl", ctl)
    assert "No such file" in server.text()
    assert ask(server.port, publisher_request()) == message(2, UNKNOWN, 7)
    shutil.copy(KRAKOW / "CTLFile-tokens.tlv", tmp_path / "new")
    os.rename(tmp_path / "new", ctl)
    server.wait_for("serving 0 certificates of the database, 5 of the CTL")
    assert ask(server.port, publisher_request())[10:14] == element(7, b"\0")
    ctl.write_bytes(b"not a list")
    server.wait_for("going on with what was loaded before")
    assert ask(server.port, publisher_request())[10:14] == element(7, b"\0")


def test_sighup_loads_the_key_again(serve, keys, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(keys / "tvs.pem", own / "key.pem")
    server = serve(key=own / "key.pem")

    def presented():
        with connect(server.port) as connection:
            return connection.getpeercert(binary_form=True)

    with connect(server.port) as before:
        assert presented() == der(keys / "tvs.pem")
        shutil.copy(keys / "next.pem", own / "key.pem")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("serving", 2)
        deadline = time.monotonic() + 30
        while presented() != der(keys / "next.pem"):
            assert time.monotonic() < deadline
        (own / "key.pem").write_text("nothing")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("going on with what was loaded before")
        assert presented() == der(keys / "next.pem")
        before.sendall(captured_request())
        assert receive(before) == message(4, UNKNOWN)


def test_stop_finishes_what_is_under_way(serve):
    server = serve()
    idle = connect(server.port)
    assert ask(server.port, captured_request()) == message(4, UNKNOWN)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 20
    assert idle.recv(1) == b""
    idle.close()
    counters = server.last_counters()
    assert counters["invalid"] == 1 and counters["open"] == 0
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", server.port))


def test_one_line_a_query(serve):
    server = serve()
    for number in range(5):
        ask(server.port, captured_request() if number % 2 else publisher_request())
    server.wait_for(r"^ctlsign: .* (VERIFY|QUERY)_CERT_REQ device=\"CP-8861-SEPB000B4BA0AEE\" .* (valid|invalid) roles=", 5)
    assert server.text().count("_CERT_REQ") == 5


def test_what_cannot_start_says_why(ctlsign, keys, serve):
    key = keys / "tvs.pem"
    assert "what to answer from" in ctlsign("tvs", "serve", "--key", key, expect=2).err
    ctl = ["--ctl", KRAKOW / "CTLFile-tokens.tlv"]
    port = serve().port
    taken = ctlsign("tvs", "serve", "--key", key, *ctl, "--listen", f"127.0.0.1:{port}", expect=6)
    assert f"127.0.0.1:{port}" in taken.err and "in use" in taken.err
    ctlsign("tvs", "serve", "--key", PUBLISHER, *ctl, "--listen", "127.0.0.1:0", expect=5)
    ctlsign("tvs", "serve", "--key", key, *ctl, "--listen", "[::1", expect=2)
    ctlsign("tvs", "serve", "--key", key, *ctl, "--listen", "127.0.0.1:x", expect=2)
    for where in ("localhost:2445", ""):
        named = ctlsign("tvs", "serve", "--key", key, *ctl, "--listen", where, expect=6).err
        assert "listening on " in named and "on on" not in named and "a numeric address is needed" in named


def test_an_itl_is_no_ctl(serve, ctlsign, tmp_path):
    (tmp_path / "itl.toml").write_text(f'filename = "ITLFile.tlv"\ndigest = "sha1"\n[[record]]\nrole = "SAST"\ncertificate = "{PUBLISHER}"\n')
    ctlsign("build", "itl.toml", "--signer", PUBLISHER.with_suffix(".key"), "--certificate", PUBLISHER, "-o", "ITLFile.tlv")
    assert "ITLFile.tlv: its header says that it is an ITL" in serve("--ctl", tmp_path / "ITLFile.tlv").text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_can_be_ended(keys, tmp_path, number):
    os.mkfifo(tmp_path / "CTLFile.tlv")
    process = subprocess.Popen([PROGRAM, "tvs", "serve", "--key", keys / "tvs.pem", "--ctl", tmp_path / "CTLFile.tlv", "--listen", "127.0.0.1:0"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))  # a shell's background ignores SIGINT
    try:
        deadline = time.monotonic() + 30
        while "SigBlk:\t0000000000000000" in Path(f"/proc/{process.pid}/status").read_text():  # it has not come so far yet
            assert time.monotonic() < deadline
        process.send_signal(number)
        assert process.wait(timeout=30) == -number
    finally:
        process.kill()
        process.wait()


def test_many_at_once_lose_no_answer(serve):
    server = serve("--max-per-address", 1000)
    answers, lock = [], threading.Lock()

    def client():
        for _ in range(10):
            answer = ask(server.port, captured_request())
            with lock:
                answers.append(answer)

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [message(4, UNKNOWN)] * 200


def test_the_unit_needs_no_privilege():
    """systemd's own measure of how much a service is exposed, 0 to 10: 1.1 is that it serves a network from the host's root."""
    unit = Path(os.environ["CTLSIGN_BUILD"]) / "cli" / "ctlsign-tvs.service"
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=11", unit], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- a key on a token -----------------------------------------------------------------------------------------


@pytest.fixture
def token(ctlsign, tmp_path, keys, monkeypatch):
    """Plugs and pulls the token that holds the server's key."""
    env = {"CTLSIGN_VIRTUAL_TOKENS": str(tmp_path / "virtual")}
    openssl("rsa", "-in", keys / "tvs.pem", "-out", tmp_path / "key.pem")
    ctlsign("virtual", "create", "TVS", "--profile", "plain-softhsm", "--key", tmp_path / "key.pem", "--certificate", keys / "tvs.pem", env=env)
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


def test_the_question_for_the_pin_can_be_ended(token):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAM, [PROGRAM, "tvs", "serve", "--key", "pkcs11:token=TVS", "--ctl", str(KRAKOW / "CTLFile-tokens.tlv"), "--listen",
                           "127.0.0.1:0"])
    shown, deadline = b"", time.monotonic() + 60
    while b"PIN of" not in shown:
        assert time.monotonic() < deadline
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    try:
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            assert time.monotonic() < deadline
            if select.select([terminal], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    os.read(terminal, 1000)
    except AssertionError:
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


# --- query ----------------------------------------------------------------------------------------------------


def test_query_shows_the_exchange(serve, ctlsign, tmp_path, keys):
    database = make_database(tmp_path / "db", [(PUBLISHER, "SAST,CCM+TFTP", 60)])
    server = serve("--database", database)
    where = [f"127.0.0.1:{server.port}", "--server-certificate", keys / "tvs.pem"]
    text = ctlsign("tvs", "query", *where, "--certificate", PUBLISHER).out
    assert "server: CN=TVS-tvs, TLSv1.3" in text and "sent " in text and "5701030000000001" in text
    assert "status: valid\nrole: SAST (0)\nrole: CCM+TFTP (2)\n" in text and "TTL: 60 seconds" in text
    answer = json.loads(ctlsign("tvs", "query", *where, "--certificate", PUBLISHER, "--verify", "--json").out)
    assert answer["valid"] and answer["roles"] == ["SAST", "CCM+TFTP"] and "certificate" not in answer
    by_list = json.loads(ctlsign("tvs", "query", *where, "--list", KRAKOW / "CTLFile-tokenless.tlv", "--json").out)
    assert bytes.fromhex(by_list["certificate"]) == der(PUBLISHER)
    no = json.loads(ctlsign("tvs", "query", *where, "--certificate", TOKEN, "--name-style", "ctl-client", "--json", expect=1).out)
    assert no["valid"] is False


def test_a_token_is_vouched_for_only_when_uploaded(serve, ctlsign, tmp_path, keys):
    question = ["--certificate", TOKEN, "--name-style", "ctl-client", "--server-certificate", keys / "tvs.pem", "--json"]
    ctlsign("tvs", "query", f"127.0.0.1:{serve().port}", *question, expect=1)
    server = serve("--database", make_database(tmp_path / "db", [(TOKEN, "SAST", 86400)]))
    answer = json.loads(ctlsign("tvs", "query", f"127.0.0.1:{server.port}", *question).out)
    assert answer["roles"] == ["SAST"]
    assert "source=CTL" in server.text()


def test_query_believes_nobody_else(serve, ctlsign, keys):
    server = serve()
    where = f"127.0.0.1:{server.port}"
    assert "not trusted" in ctlsign("tvs", "query", where, "--certificate", PUBLISHER, "--server-certificate", keys / "next.pem", expect=1).err
    assert "not trusted" in ctlsign("tvs", "query", where, "--certificate", PUBLISHER, "--itl", KRAKOW / "CTLFile-tokens.tlv", expect=1).err
    assert "_CERT_REQ" not in server.text(), "nothing was asked"
    anyone = ctlsign("tvs", "query", where, "--certificate", PUBLISHER)
    assert "whoever answers is believed" in anyone.err


def test_query_says_what_went_wrong(ctlsign, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        silent = ctlsign("tvs", "query", f"127.0.0.1:{port}", "--certificate", PUBLISHER, "--timeout", 1, expect=6)
        assert "takes too long" in silent.err
    assert "refused" in ctlsign("tvs", "query", f"127.0.0.1:{port}", "--certificate", PUBLISHER, expect=6).err
    ctlsign("tvs", "query", "127.0.0.1:1", expect=2)
    ctlsign("tvs", "query", "127.0.0.1:1", "--list", KRAKOW / "CTLFile-tokens.tlv", "--verify", expect=2)
    ctlsign("tvs", "query", "127.0.0.1:1", "--certificate", PUBLISHER, "--name-style", "x", expect=2)


def test_query_takes_no_answer_to_another_question(ctlsign, keys):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(keys / "tvs.pem")
    answers = {"id of another": message(4, UNKNOWN, 2), "another type": message(2, UNKNOWN, 1), "malformed": b"HTTP/1.1 200 OK\r\n"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for expected, answer in answers.items():
            def impostor(bytes_to_send=answer):
                plain, _ = listener.accept()
                with tls.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(1000)
                    connection.sendall(bytes_to_send)
                    select.select([connection], [], [], 30)

            thread = threading.Thread(target=impostor)
            thread.start()
            result = ctlsign("tvs", "query", f"127.0.0.1:{listener.getsockname()[1]}", "--certificate", PUBLISHER, expect=3)
            thread.join()
            assert expected in result.err


# --- import-database ------------------------------------------------------------------------------------------


def test_import_database(ctlsign, serve, tmp_path):
    make_database(tmp_path / "old.sqlite3", [(PUBLISHER, "SAST,CCM+TFTP", 3600), (TOKEN, "SAST", None)])
    result = json.loads(ctlsign("tvs", "import-database", "old.sqlite3", "-o", "tvs.db", "--json").out)
    assert [one["roles"] for one in sorted(result["certificates"], key=lambda one: one["ttl"])] == [["SAST", "CCM+TFTP"], ["SAST"]]
    server = serve("--database", tmp_path / "tvs.db")
    assert ask(server.port, publisher_request()) == message(
        2, element(7, b"\0") + element(8, b"\0\x02") + element(9, (3600).to_bytes(4, "big")), 7)
    with contextlib.closing(sqlite3.connect(tmp_path / "tvs.db")) as database:
        rows = database.execute("SELECT certificate_hash, roles, ttl FROM certificates ORDER BY ttl").fetchall()
    assert rows[0] == (hashlib.sha256(der(PUBLISHER)).hexdigest(), "SAST,CCM+TFTP", 3600)
    assert "File exists" in ctlsign("tvs", "import-database", "old.sqlite3", "-o", "tvs.db", expect=6).err


def test_import_leaves_out_what_is_wrong_and_says_so(ctlsign, tmp_path):
    path = make_database(tmp_path / "old.sqlite3", [(PUBLISHER, "SAST", 1), (TOKEN, "SAST,CHIEF", 1)])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO certificates VALUES ('00', '1', 's', 'i', ?, 'SAST', 1)", (PUBLISHER.read_bytes(),))
        database.execute("INSERT INTO certificates VALUES ('01', '1', 's', 'i', 'nothing', 'SAST', 1)")
        database.execute("INSERT INTO certificates VALUES ('02', '1', 's', 'i', 'nothing', 'SAST', -1)")
        database.commit()
    result = ctlsign("tvs", "import-database", "old.sqlite3", "-o", "tvs.db", expect=1)
    assert "1 certificates, 4 left out" in result.out
    assert "no role 'CHIEF'" in result.err and "not that of its certificate" in result.err and "cannot be read" in result.err
    (tmp_path / "text").write_text("no database")
    ctlsign("tvs", "import-database", "text", "-o", "other.db", expect=3)
    ctlsign("tvs", "import-database", "absent", "-o", "other.db", expect=6)
    with contextlib.closing(sqlite3.connect(tmp_path / "empty")) as database:
        database.execute("CREATE TABLE other(a)")
        database.commit()
    assert "certificates" in ctlsign("tvs", "import-database", "empty", "-o", "other.db", expect=3).err
    assert not (tmp_path / "other.db").exists()


def test_a_foreign_database_does_not_talk_to_the_terminal(ctlsign, serve, tmp_path):
    path = make_database(tmp_path / "old.sqlite3", [(TOKEN, "SAST,\x1b[32mX\n", 1)])
    with contextlib.closing(sqlite3.connect(path)) as database:
        for name in ("\x1b[31mEVIL", "aa\nctlsign: x"):
            database.execute("INSERT INTO certificates VALUES (?, '1', 's', 'i', 'nothing', 'SAST', 1)", (name,))
        database.commit()
    told = ctlsign("tvs", "import-database", "old.sqlite3", "-o", "tvs.db", expect=1).err
    for text in (told, serve("--database", path).text()):
        assert "EVIL" in text and "\x1b" not in text
        assert not [line for line in text.splitlines() if not line.startswith("ctlsign: warning: ") and line.startswith("ctlsign: x")]


def test_a_certificate_that_is_there_twice(ctlsign, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "old.sqlite3")) as database:
        database.execute("CREATE TABLE certificates (certificate_hash TEXT, certificate TEXT, roles TEXT, ttl INTEGER)")
        for _ in range(2):
            database.execute("INSERT INTO certificates VALUES (?, ?, 'SAST', 1)",
                             (hashlib.sha256(der(PUBLISHER)).hexdigest(), PUBLISHER.read_bytes()))
        database.commit()
    result = ctlsign("tvs", "import-database", "old.sqlite3", "-o", "tvs.db", expect=1)
    assert "1 certificates, 1 left out" in result.out and "it is there twice" in result.err


def test_a_database_with_a_write_ahead_log_is_seen_to_change(serve, tmp_path):
    path = make_database(tmp_path / "db", [(TOKEN, "SAST", 1)])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("UPDATE certificates SET ttl = 2")
        database.commit()
        server = serve("--database", path)
        database.execute("INSERT INTO certificates VALUES (?, '1', 's', 'i', ?, 'SAST', 1)",
                         (hashlib.sha256(der(PUBLISHER)).hexdigest(), PUBLISHER.read_bytes()))
        database.commit()
        server.wait_for("serving 2 certificates of the database")
        time.sleep(3)
        assert server.text().count("serving ") == 2, "reading it is no change"
