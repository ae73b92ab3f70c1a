"""Who may read and change what the program leaves on a disk, whatever the umask. A file that is not listed here as meant
for others is its owner's alone."""

import fnmatch
import os
import sqlite3
import stat

import pytest
from conftest import FIRST, KRAKOW, SECOND, program

FOR_OTHERS = ("cucm-1051-a-*/CTLFile.tlv", "extracted/manifest.toml", "extracted/signature.raw", "extracted/certificates/*",
              "signed/*.sgn", "place/krakow.p12", "token.pem", "old.tlv", "tvs.db", "preflight.html", "selftest.json")
PRIVATE = ("cluster.db", "cluster.db.lock", "cluster.db.backups", "cluster.db.keys", "plain.backup", "full.backup", "again.db",
           "keys", "virtual", "lab", "phones.csv", "state/ctlsign")


@pytest.fixture(params=[0o000, 0o022], ids=lambda mask: f"umask-{mask:03o}")
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def folder(umask, tokens, tmp_path, monkeypatch):
    """What there is after a run of everything that writes. What the test itself writes stands in `given`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    given = tmp_path / "given"
    given.mkdir()
    run, env = tokens.ctlsign, tokens.env

    def write(name, content):
        (given / name).write_bytes(content)
        return given / name

    words = ("--pin-source", f"file:{write('words', b'the safe in the cellar')}")
    run("build", KRAKOW / "CTLFile-tokens.toml", "--signer", f"pkcs11:token={SECOND}", "--pin-source",
        f"file:{write('wrong-pin', b'wrong-pin-1')}", "-o", "never.tlv", env=env, expect=5)
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    tokens("certificate", "regenerate", "--store", "CAPF", "--yes")
    tokens("backup", "-o", "plain.backup")
    tokens("backup", "-o", "full.backup", "--keys", *words)
    tokens("restore", "full.backup", "--cluster", "again.db", "--keys", "keys/", *words)
    tokens("history", "--number", "1", "-o", "old.tlv")
    (tmp_path / "place").mkdir()
    tokens("export", "place")
    run("extract", "old.tlv", "-d", "extracted")
    run("config", "sign", write("SEP001122334455.cnf.xml", b"<device/>"), "-d", "signed", "--signer",
        KRAKOW / "certificates" / "cucm-1051-a-pub.key", "--certificate", KRAKOW / "certificates" / "cucm-1051-a-pub.pem")
    run("token", "export-certificate", FIRST, "-o", "token.pem", env=env)
    run("token", "selftest", SECOND, "--report", "selftest.json", "--pin-source", f"file:{tmp_path}/virtual/tokens/{SECOND}/user-pin", env=env)
    with sqlite3.connect(given / "open.db") as database:
        database.executescript((program.OPEN_TOOLS / "certificates.sql").read_text())
    run("tvs", "import-database", given / "open.db", "-o", "tvs.db")
    write("CTLFile.tlv", (tmp_path / "old.tlv").read_bytes())
    run("phone", "simulate", "--state", "lab/", "--source", given, "--count", "2")
    run("phone", "import", "lab/phones.csv")
    run("phone", "preflight", "old.tlv", "--known", "old.tlv", "--html", "preflight.html")
    # The nodes' folders and the meeting place are the administrator's.
    for made in (given, tmp_path / "place", *tokens.nodes.values()):
        made.chmod(0o755)
    return tmp_path


def open_to_others(top):
    """(name, mode) of all that others than the owner can reach."""
    for path in sorted(top.iterdir()):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.name == "given" or not mode & 0o077:
            continue
        yield path, mode
        if path.is_dir() and mode & 0o011:
            yield from open_to_others(path)


def test_what_others_can_reach(folder):
    reached = {str(path.relative_to(folder)): (path, mode) for path, mode in open_to_others(folder)}
    for name, (path, mode) in reached.items():
        assert not mode & stat.S_IWOTH, f"{name}: {mode:03o}"
        assert path.is_dir() or any(fnmatch.fnmatch(name, pattern) for pattern in FOR_OTHERS), f"{name}: {mode:03o}"
    for pattern in FOR_OTHERS:
        assert fnmatch.filter(reached, pattern), pattern
    for name in PRIVATE:
        assert (folder / name).exists() and name not in reached, name
