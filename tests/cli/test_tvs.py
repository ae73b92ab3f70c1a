"""tvs serve, against openssl s_client, Python's ssl and hand-made bytes."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import KRAKOW, PROGRAM
from tvs_server import (DEVICE, PUBLISHER, TOKEN, UNKNOWN, ask, captured_request, connect, context, der, element,  # noqa: F401  (fixtures)
                        keys, make_database, message, openssl, publisher_request, receive, serve)


def test_the_captured_request_by_s_client(serve):
    server = serve()
    assert len(captured_request()) == 153
    client = subprocess.Popen(["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port}"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        client.stdin.write(captured_request())
        client.stdin.flush()
        answer = client.stdout.read(14)
    finally:
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
    socket.create_connection(("127.0.0.1", server.port)).close()
    server.wait_for("handshake failed: the client closed the connection$")
    with connect(server.port) as connection:
        connection.sendall(captured_request()[:100])
        time.sleep(0.5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed, it resets
    server.wait_for("Connection reset by peer in the middle of a request$")
    assert server.counters()["malformed"] == 2
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
    assert "warning: keys below 2048 bits are allowed" in server.text()


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
    server = serve("--handshake-timeout", 10, "--request-timeout", 10, "--threads", 1)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    slow = [connect(server.port) for _ in range(20)]
    request = captured_request()
    began = time.monotonic()
    for octet in request[:4]:
        for connection in slow:
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # on a busy machine its time may be over
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
    told = [line for line in server.text().splitlines() if "--max-per-address" in line]
    assert told == ["ctlsign: warning: 127.0.0.2 a connection closed before TLS: 8 of this address are open (--max-per-address)"]
    for connection in flood:
        connection.close()
    deadline = time.monotonic() + 60
    while True:  # its places are free again
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert ask(server.port, captured_request(), source="127.0.0.2") == message(4, UNKNOWN)
            break
        assert time.monotonic() < deadline


def test_more_connections_than_there_may_be_are_told_of(serve):
    server = serve("--max-connections", 2)
    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    server.wait_for("a connection closed before TLS: 2 are open .--max-connections.")
    assert server.counters()["over-limit"] == 3 and server.text().count("--max-connections") == 1
    for connection in crowd:
        connection.close()


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


@pytest.fixture
def five_thousand_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.fail(f"this machine allows {hard} open files: 5000 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (5000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("five_thousand_files")
def test_two_thousand_idle_connections(serve):
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
    if os.environ["CTLSIGN_INSTRUMENTED"] == "0":
        assert per_connection < 100_000
    server.stop()
    for connection in idle:
        connection.close()


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


def test_a_change_is_seen_while_signals_come(serve, tmp_path):
    ctl = tmp_path / "CTLFile.tlv"
    server = serve("--ctl", ctl)
    shutil.copy(KRAKOW / "CTLFile-tokens.tlv", ctl)
    deadline = time.monotonic() + 60
    while "5 of the CTL" not in server.text():
        assert time.monotonic() < deadline, server.text()
        server.process.send_signal(signal.SIGUSR1)
        time.sleep(0.1)


def test_what_could_not_be_read_is_tried_again(serve, tmp_path):
    path = make_database(tmp_path / "db", [(TOKEN, "SAST", 1)])
    server = serve("--database", path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        os.utime(path)
        server.wait_for("going on with what was loaded before")
        database.execute("ROLLBACK")
    server.wait_for("serving 1 certificates of the database", 2)
    assert server.text().count("going on with what was loaded before") == 1, "told once"


def test_the_size_of_a_request_is_limited_as_asked(serve):
    server = serve("--max-message", 64)
    assert ask(server.port, captured_request()) == b""
    server.wait_for(f"a request of {len(captured_request())} octets is too large")


def test_it_listens_everywhere_unless_told(keys):
    way = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]  # nobody else has the port there
    with subprocess.Popen([*way, PROGRAM, "tvs", "serve", "--key", keys / "tvs.pem", "--ctl", KRAKOW / "CTLFile-tokens.tlv"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        expected = ["listening on 0.0.0.0:2445\n"] + ["listening on [::]:2445\n"] * Path("/proc/net/if_inet6").exists()
        assert [process.stdout.readline() for _ in expected] == expected
        process.terminate()
        assert process.wait(timeout=60) == 0


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


def test_stop_closes_connections_without_a_whole_request(serve):
    server = serve("--threads", 1)
    with connect(server.port) as idle, connect(server.port) as half:
        half.sendall(captured_request()[:100])
        assert ask(server.port, captured_request()) == message(4, UNKNOWN)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 20
        assert idle.recv(1) == half.recv(1) == b""
    counters = server.last_counters()
    assert counters["invalid"] == 1 and counters["open"] == 0
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", server.port))


def test_stop_finishes_the_answer_under_way(serve, keys, tmp_path):
    """Of a client that reads nothing until then: what has not been sent of an answer still comes, what was asked after it does not."""
    openssl("req", "-x509", "-key", keys / "tvs.pem", "-subj", "/CN=big", "-set_serial", "1", "-addext", "nsComment=" + "x" * 50000, "-out",
            tmp_path / "big.pem")
    server = serve("--database", make_database(tmp_path / "db", [(tmp_path / "big.pem", "SAST", 60)]), "--request-timeout", 60)
    request = message(3, element(1, DEVICE) + element(3, b"CN=big\0") + element(4, b"CN=big\0") + element(5, b"\x01"))
    answer = message(4, element(7, b"\0") + element(2, der(tmp_path / "big.pem")) + element(8, b"\0") + element(9, (60).to_bytes(4, "big")))
    with connect(server.port) as connection:
        asked = 16384 // len(request)  # in one record of TLS: the server has them all
        connection.sendall(request * asked)
        connection.sendall(request)  # never read by the server: no reason to throw away what it has written
        server.wait_for("QUERY_CERT_REQ")
        before, now = 0, 1
        while before != now:  # until nothing goes in any more
            time.sleep(0.2)
            before, now = now, server.counters()["valid"]
        server.process.terminate()
        with contextlib.suppress(ConnectionError):
            while True:  # until it stops
                socket.create_connection(("127.0.0.1", server.port)).close()
                time.sleep(0.01)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert server.process.wait(timeout=60) == 0, server.text()
    counters = server.last_counters()
    assert 0 < counters["valid"] < asked and counters["open"] == 0
    assert len(received) == counters["valid"] * len(answer) and received == answer * counters["valid"]


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
