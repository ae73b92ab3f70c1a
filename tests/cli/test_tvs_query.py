"""tvs query against tvs serve, and against servers that are wrong."""

import json
import select
import socket
import ssl
import subprocess
import threading
import time

from conftest import KRAKOW
from tvs_server import PUBLISHER, TOKEN, UNKNOWN, der, keys, make_database, message, serve  # noqa: F401  (fixtures)


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


def test_query_presents_what_a_phone_would(ctlsign, keys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with open(tmp_path / "log", "wb") as log, subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", keys / "tvs.pem", "-key", keys / "tvs.pem", "-Verify", "1", "-naccept", "2"],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.PIPE) as server:
        while b"ACCEPT" not in (tmp_path / "log").read_bytes():
            assert server.poll() is None
            time.sleep(0.05)
        question = ["tvs", "query", f"127.0.0.1:{port}", "--certificate", PUBLISHER, "--server-certificate", keys / "tvs.pem", "--timeout", 10]
        ctlsign(*question, expect=6)
        ctlsign(*question, "--identity", keys / "next.pem", expect=6)
        server.wait(timeout=60)
    log = (tmp_path / "log").read_text(errors="replace")
    assert log.count("peer did not return a certificate") == 1 and log.count("CN=TVS-next") + log.count("CN = TVS-next") >= 1, log


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
