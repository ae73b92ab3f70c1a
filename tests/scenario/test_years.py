"""A cluster with a thousand publications and a thousand certificates behind it."""

import base64
import contextlib
import hashlib
import json
import sqlite3
import time

from conftest import KRAKOW, SECOND

COUNT = 1000
DEADLINE = 10  # seconds, on a machine that does much else


def certificates():
    """As many as COUNT, that differ in their serial numbers."""
    pem = (KRAKOW / "tokens" / f"{SECOND}.pem").read_text()
    der = base64.b64decode("".join(line for line in pem.splitlines() if "-----" not in line))
    # Certificate, tbsCertificate and the version before the serial number (RFC 5280, 4.1).
    at = der.index(bytes.fromhex("a003020102")) + 5
    length = der[at + 1]
    for number in range(COUNT):
        serial = b"\x11" + hashlib.sha256(str(number).encode()).digest()[:length - 1]
        yield serial, der[:at + 2] + serial + der[at + 2 + length:]


def add_years(folder):
    with contextlib.closing(sqlite3.connect(folder / "cluster.db")) as database:
        database.executemany(
            "INSERT INTO certificate(store, node, subject, serial, not_after, der, key) VALUES('phone-trust', NULL, "
            "'CN=phone', ?, 1900000000, ?, NULL)", [(serial.hex().upper(), der) for serial, der in certificates()])
        database.executemany(
            "INSERT INTO publication(time, operation, way, mode, signer, md5, sha1, octets) "
            "SELECT time, operation, way, mode, signer, md5, sha1, octets FROM publication WHERE id=1", [()] * (COUNT - 1))
        line, number = database.execute("SELECT line, number FROM audit ORDER BY number DESC").fetchone()
        for number in range(number + 1, number + 2 * COUNT):
            line = json.dumps({"number": number, "event": "publication", "previous": hashlib.sha256(line.encode()).hexdigest()})
            database.execute("INSERT INTO audit VALUES(?, ?, ?)", (number, line, hashlib.sha256(line.encode()).hexdigest()))
        database.commit()


def timed(cluster, *arguments, **options):
    begin = time.monotonic()
    result = cluster(*arguments, **options)
    took = time.monotonic() - begin
    assert took < DEADLINE, f"{arguments[0]} took {took:.1f} s"
    return result


def test_a_thousand(cluster):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    before = cluster.ctl
    add_years(cluster.folder)
    shown = json.loads(timed(cluster, "status", "--json").out)
    assert shown["mode"] == "mixed" and shown["nodes-agree"]
    timed(cluster, "update", "--digest", "sha512", "--yes", "--timestamp", "2015-03-06T18:45:13Z")
    assert cluster.ctl == (KRAKOW / "CTLFile-tokenless-sha512.tlv").read_bytes() != before
    assert len(json.loads(timed(cluster, "history", "--json").out)["publications"]) == COUNT + 1
    assert len(json.loads(timed(cluster, "certificate", "list", "--json").out)["certificates"]) > COUNT
    timed(cluster, "audit", "--verify")
    timed(cluster, "expiry", "--at", "2015-06-01T00:00:00Z")
