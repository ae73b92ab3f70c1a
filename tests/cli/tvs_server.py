"""tvs serve under test, and the bytes of its protocol made by hand."""

import contextlib
import hashlib
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from conftest import KRAKOW, OPEN_TOOLS, PROGRAM

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
        database.executescript((OPEN_TOOLS / "certificates.sql").read_text())
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
