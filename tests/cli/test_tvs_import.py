"""tvs import-database, and databases that others made."""

import contextlib
import hashlib
import json
import sqlite3
import ssl
import time

from tvs_server import PUBLISHER, TOKEN, ask, der, element, keys, make_database, message, publisher_request, serve  # noqa: F401  (fixtures)


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


def test_a_database_is_made_again_and_the_server_takes_it_up(ctlsign, serve, tmp_path):
    make_database(tmp_path / "one.sqlite3", [(TOKEN, "SAST", 1)])
    make_database(tmp_path / "two.sqlite3", [(TOKEN, "SAST", 1), (PUBLISHER, "SAST,CCM+TFTP", 3600)])
    ctlsign("tvs", "import-database", "one.sqlite3", "-o", "tvs.db", "--replace")
    server = serve("--database", tmp_path / "tvs.db")
    server.wait_for("serving 1 certificates of the database")
    assert "2 certificates" in ctlsign("tvs", "import-database", "two.sqlite3", "-o", "tvs.db", "--replace").out
    server.wait_for("serving 2 certificates of the database")
    before = (tmp_path / "tvs.db").read_bytes()
    assert "File exists" in ctlsign("tvs", "import-database", "one.sqlite3", "-o", "tvs.db", expect=6).err
    ctlsign("tvs", "import-database", "absent", "-o", "tvs.db", "--replace", expect=6)
    assert "is an input" in ctlsign("tvs", "import-database", "tvs.db", "-o", "tvs.db", "--replace", expect=2).err
    (tmp_path / "tvs.db-wal").write_text("written by another program")
    assert "tvs.db-wal" in ctlsign("tvs", "import-database", "one.sqlite3", "-o", "tvs.db", "--replace", expect=6).err
    assert (tmp_path / "tvs.db").read_bytes() == before


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


def test_import_leaves_out_a_name_that_is_no_text(ctlsign, tmp_path):
    path = make_database(tmp_path / "old.sqlite3", [(PUBLISHER, "SAST", 1)])
    odd = der(TOKEN)
    name = b"SAST-ADN0054f509"
    assert odd.count(name) > 0
    odd = odd.replace(name, b"SAST\0" + name[5:])
    pem = ssl.DER_cert_to_PEM_cert(odd)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO certificates VALUES (?, '1', 's', 'i', ?, 'SAST', 1)", (hashlib.sha256(odd).hexdigest(), pem))
        database.commit()
    result = ctlsign("tvs", "import-database", "old.sqlite3", "-o", "tvs.db", expect=1)
    assert "1 certificates, 1 left out" in result.out and "its names cannot be written as text" in result.err


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
