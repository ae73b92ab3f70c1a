"""Nodes that fail: nothing is switched anywhere. Two administrators, backups, the audit, certificates."""

import contextlib
import json
import os
import pty
import sqlite3
import subprocess
import time

import pytest
from conftest import FIRST, KRAKOW, SECOND, TIME, program

GOLDEN = (KRAKOW / "CTLFile-tokenless.tlv").read_bytes()


@pytest.fixture
def mixed(cluster):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    return cluster


def in_namespace(cluster, mount, *arguments):
    """Runs the program where the subscriber's folder is mounted as MOUNT says; gives the exit code, its errors, the files."""
    script = f"""cd "$1"; {mount}
    set +e; shift; "$@" 2>errors; code=$?; sha1sum cucm-1051-a-*/CTLFile.tlv | cut -d' ' -f1 | sort -u | wc -l; exit $code"""
    way = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    done = subprocess.run([*way, "sh", "-euc", script, "sh", cluster.folder, program.PROGRAM, "cluster", *arguments],
                          capture_output=True, check=False, env=os.environ | cluster.env)
    return done.returncode, (cluster.folder / "errors").read_text(), done.stdout.decode().splitlines()[-1]


@pytest.mark.parametrize("mount", [
    "mount -t tmpfs -o size=16k none cucm-1051-a-sub1; cp cucm-1051-a-pub/CTLFile.tlv cucm-1051-a-sub1; "
    "head -c 8192 /dev/zero > cucm-1051-a-sub1/filler",
    "mount -t tmpfs none cucm-1051-a-sub1; cp cucm-1051-a-pub/CTLFile.tlv cucm-1051-a-sub1; "
    "mount -o remount,ro cucm-1051-a-sub1"], ids=["full", "read-only"])
def test_a_node_that_cannot_be_written(mixed, mount):
    code, errors, different = in_namespace(mixed, mount, "update", "--digest", "sha512", "--yes", *TIME)
    assert code == 6 and "cucm-1051-a-sub1" in errors and "no node was switched" in errors
    assert different == "1" and (mixed.nodes["cucm-1051-a-pub"] / "CTLFile.tlv").read_bytes() == GOLDEN
    assert mixed.mode == "1" and mixed("status").code == 0


def test_a_node_that_is_gone(mixed):
    folder = mixed.nodes["cucm-1051-a-sub1"]
    folder.rename(mixed.folder / "elsewhere")
    result = mixed.change("update", "--digest", "sha512", expect=6)
    assert "cucm-1051-a-sub1" in result.err and "nothing was changed" in result.err
    assert (mixed.nodes["cucm-1051-a-pub"] / "CTLFile.tlv").read_bytes() == GOLDEN
    assert "cucm-1051-a-sub1" in mixed("status", expect=1).out


def test_status_shows_what_phones_show(mixed):
    shown = json.loads(mixed("status", "--json").out)
    assert shown["mode"] == "mixed" and shown["ctl"]["signer"].startswith("CN=cucm-1051-a-pub;")
    for node in shown["nodes"]:
        sums = {name: subprocess.run([f"{name}sum", mixed.nodes[node["node"]] / "CTLFile.tlv"], capture_output=True,
                                     check=True).stdout.decode().split()[0] for name in ("md5", "sha1")}
        assert {name: node[name] for name in sums} == sums
    assert [(each["service"], each["node"]) for each in shown["restart"]] == [
        ("TFTP", "cucm-1051-a-pub"), ("TFTP", "cucm-1051-a-sub1"), ("CallManager", "cucm-1051-a-pub"),
        ("CallManager", "cucm-1051-a-sub1")]
    mixed("restarted")
    assert json.loads(mixed("status", "--json").out)["restart"] == []
    (mixed.nodes["cucm-1051-a-sub1"] / "CTLFile.tlv").write_bytes(GOLDEN + b"x")
    assert "another CTL" in mixed("status", expect=1).out
    assert "rule nodes-agree" in mixed.change("update", expect=4).err
    told = mixed.change("update", "--force").err
    assert mixed.ctl == GOLDEN and "rule nodes-agree is forced: it is replaced, and phones that hold it may refuse" in told
    forced = [(entry["operation"], entry["rule"]) for entry in mixed.audit() if entry["event"] == "forced"]
    assert forced == [("update", "nodes-agree")]


def test_a_new_node_gets_the_ctl_by_the_next_update(mixed):
    mixed.add_node("cucm-1051-a-sub2", "10.48.47.155")
    assert "serves no CTL" in mixed("status", expect=1).out
    assert "rule certificates-there" in mixed.change("update", expect=4).err
    mixed.import_own("CallManager", "cucm-1051-a-sub2", KRAKOW / "certificates" / "cucm-1051-a-sub1")
    mixed.change("update")
    assert len(mixed.records()) == 5 and mixed.ctl != GOLDEN


def test_two_administrators_at_once(mixed):
    processes = [subprocess.Popen([program.PROGRAM, "cluster", "update", "--digest", digest, "--yes", *TIME],
                                  cwd=mixed.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for digest in ("sha256", "sha512", "sha1")]
    try:
        for process in processes:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, (out, err)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert mixed.ctl is not None and mixed("audit", "--verify").code == 0
    assert len(json.loads(mixed("history", "--json").out)["publications"]) == 4


def test_the_second_administrator_is_told_who_is_first(mixed):
    main, side = pty.openpty()
    first = subprocess.Popen([program.PROGRAM, "cluster", "update", *TIME], cwd=mixed.folder, stdin=side, stdout=side, stderr=side)
    os.close(side)
    try:
        asked = b""
        while b"(y/n):" not in asked:
            asked += os.read(main, 4096)
        begin = time.monotonic()
        result = mixed.change("update", "--digest", "sha512", expect=6)
        assert time.monotonic() - begin > 5, "it waits"
        assert f"process {first.pid} is at work (cluster update): wait for it to end" in result.err
        assert mixed("status").code == 0 and mixed.ctl == GOLDEN
    finally:
        first.kill()
        first.wait()
        os.close(main)


def test_backup_and_restore(mixed):
    mixed("backup", "-o", "krakow.backup")
    mixed.change("non-secure-mode")
    before = len(mixed.audit())
    result = mixed("restore", "krakow.backup", "--yes")
    assert "the nodes serve what they served before" in result.err
    assert mixed.mode == "1" and mixed("status", expect=1)
    assert len(mixed.audit()) == before + 1 and mixed.audit()[-1]["event"] == "restored"
    assert mixed("audit", "--verify").code == 0
    # What was published since is no longer the last, but phones may hold it.
    history = json.loads(mixed("history", "--json").out)["publications"]
    assert [(entry["operation"], entry.get("withdrawn")) for entry in history] == [("mixed-mode", None), ("non-secure-mode", True)]
    assert "a backup from before it was restored" in mixed("history").out
    assert "is not the one published last" in mixed.change("update", expect=4).err
    mixed("restore", "krakow.backup", "--cluster", "again.db")
    assert mixed("status", "--cluster", "again.db", expect=1)
    image = bytearray((mixed.folder / "krakow.backup").read_bytes())
    for position in (0, 40, len(image) // 2, len(image) - 1):
        damaged = bytearray(image)
        damaged[position] ^= 1
        (mixed.folder / "damaged.backup").write_bytes(damaged)
        mixed("restore", "damaged.backup", "--yes", expect=3)
    (mixed.folder / "damaged.backup").write_bytes(image[:-1])
    mixed("restore", "damaged.backup", "--yes", expect=3)
    assert len(list((mixed.folder / "cluster.db.backups").iterdir())) == 8, "one before each change, those of nodes and stores too"


def overwrite(path, at, octets):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(octets)


def edit(path, statement):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(statement)


DAMAGES = {
    "header": lambda path: overwrite(path, 0, b"x" * 100),
    "pages": lambda path: overwrite(path, 4096, b"x" * 20480),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "release": lambda path: edit(path, "UPDATE processconfig SET paramvalue='none' WHERE paramname='Release'"),
    "table": lambda path: edit(path, "DROP TABLE token"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_backup_takes_the_place_of_a_damaged_file(mixed, damage):
    path = mixed.folder / "cluster.db"
    mixed("backup", "-o", "krakow.backup")
    DAMAGES[damage](path)
    damaged = path.read_bytes()
    assert mixed("status", expect=3).err
    told = mixed("restore", "krakow.backup", "--yes").err
    kept = next(mixed.folder.glob("cluster.db.damaged-*[0-9]"))
    assert kept.read_bytes() == damaged and kept.name in told
    assert mixed("status").code == 0 and mixed("audit", "--verify").code == 0
    assert mixed.audit()[-1]["event"] == "restored" and path.stat().st_mode & 0o777 == 0o600
    mixed.change("update", "--digest", "sha512")


def test_the_file_of_a_later_program_is_not_put_aside(mixed):
    mixed("backup", "-o", "krakow.backup")
    edit(mixed.folder / "cluster.db", "PRAGMA user_version=1000")
    before = (mixed.folder / "cluster.db").read_bytes()
    assert "a later ctlsign has written it" in mixed("restore", "krakow.backup", "--yes", expect=3).err
    assert (mixed.folder / "cluster.db").read_bytes() == before


def test_a_damaged_file_stays_until_the_question_is_answered(mixed):
    mixed("backup", "-o", "krakow.backup")
    os.truncate(mixed.folder / "cluster.db", 0)
    assert "--yes" in mixed("restore", "krakow.backup", expect=2).err
    assert (mixed.folder / "cluster.db").stat().st_size == 0 and not list(mixed.folder.glob("cluster.db.damaged-*"))
    # Nothing is lost with an empty file.
    mixed("init", "--name", "krakow", "--release", "10.5(1)")
    assert [entry["event"] for entry in mixed.audit()] == ["cluster-made"]
    mixed("init", "--name", "krakow", "--release", "10.5(1)", expect=6)


def test_what_is_damaged_is_not_backed_up(mixed):
    path, backups = mixed.folder / "cluster.db", mixed.folder / "cluster.db.backups"
    with contextlib.closing(sqlite3.connect(path)) as database:
        root, = database.execute("SELECT rootpage FROM sqlite_schema WHERE name='trusted_certificate'").fetchone()
        size, = database.execute("PRAGMA page_size").fetchone()
    overwrite(path, (root - 1) * size, b"x" * size)
    kept = sorted(backups.iterdir())
    assert mixed("status").code == 0, "no command reads that page"
    (mixed.folder / "words").write_text("the safe in the cellar\n")
    for arguments in (("backup", "-o", "krakow.backup"), ("release", "10.5(2)"),
                      ("backup", "-o", "krakow.backup", "--keys", "--pin-source", "file:words")):
        assert "SQLite finds it damaged: ctlsign cluster restore" in mixed(*arguments, expect=3).err
    assert not (mixed.folder / "krakow.backup").exists() and sorted(backups.iterdir()) == kept
    # The last of those that were taken before is whole.
    mixed("restore", kept[-1], "--yes")
    mixed("backup", "-o", "krakow.backup")


def test_keys_go_into_a_backup_only_when_asked_and_encrypted(mixed):
    secret = (KRAKOW / "certificates" / "cucm-1051-a-pub.key").read_bytes()
    body = secret.splitlines()[3]
    (mixed.folder / "words").write_text("the safe in the cellar\n")
    (mixed.folder / "wrong").write_text("the safe in the attic\n")
    mixed("backup", "-o", "plain.backup")
    mixed("backup", "-o", "full.backup", "--keys", "--pin-source", "file:words")
    for name in ("plain.backup", "full.backup"):
        assert body not in (mixed.folder / name).read_bytes() and (mixed.folder / name).stat().st_mode & 0o777 == 0o600
    again = ("--cluster", "again.db")
    mixed("restore", "plain.backup", *again, "--keys", "keys", "--pin-source", "file:words", expect=5)
    mixed("restore", "full.backup", *again, "--keys", "keys", "--pin-source", "file:wrong", expect=5)
    assert not (mixed.folder / "again.db").exists() and not (mixed.folder / "keys").exists()
    mixed("restore", "full.backup", *again, "--keys", "keys", "--pin-source", "file:words")
    keys = list((mixed.folder / "keys").iterdir())
    assert len(keys) == 3 and secret in [key.read_bytes() for key in keys]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert body not in (mixed.folder / "again.db").read_bytes() and b"sealed_key" not in (mixed.folder / "again.db").read_bytes()
    listed = json.loads(mixed("certificate", "list", "--store", "CallManager", "--json", *again).out)["certificates"]
    assert {each["key"] for each in listed} <= {str(key) for key in keys}
    mixed.change("update", *again)
    # A key that is not there any more: no half backup.
    mixed("certificate", "import", KRAKOW / "certificates" / "cucm-1051-a-pub.pem", "--store", "CallManager", "--key", "gone.key")
    assert "gone.key" in mixed("backup", "-o", "half.backup", "--keys", "--pin-source", "file:words", expect=6).err
    assert not (mixed.folder / "half.backup").exists()


def test_the_history_has_every_ctl(mixed):
    mixed.change("non-secure-mode")
    history = json.loads(mixed("history", "--json").out)["publications"]
    assert [entry["operation"] for entry in history] == ["mixed-mode", "non-secure-mode"]
    mixed("history", "--number", "1", "-o", "first.tlv")
    assert (mixed.folder / "first.tlv").read_bytes() == GOLDEN
    # The output is never what the command works on.
    assert "is an input" in mixed("history", "--number", "1", "-o", "cluster.db", expect=2).err
    assert mixed.mode == "0"


def test_a_backup_does_not_go_on_where_a_command_was_ended(mixed):
    assert "must be another file" in mixed("backup", "-o", "cluster.db", expect=2).err
    with sqlite3.connect(mixed.folder / "cluster.db") as database:
        database.execute("INSERT INTO journal VALUES(1, 'preparing', 0, 'update', 'tokenless', 1, 'nobody', NULL)")
    mixed("backup", "-o", "middle.backup")
    assert "ended in the middle" in mixed("status").out
    mixed("restore", "middle.backup", "--cluster", "again.db")
    assert "ended in the middle" not in mixed("status", "--cluster", "again.db").out


def test_a_journal_that_makes_no_sense_is_not_guessed_at(mixed):
    with sqlite3.connect(mixed.folder / "cluster.db") as database:
        database.execute("INSERT INTO journal VALUES(1, 'dancing', 0, 'update', 'tokenless', 1, 'nobody', NULL)")
    assert "the step of a publication" in mixed.change("update", expect=3).err
    assert mixed.ctl == GOLDEN


def test_the_audit_tells_who_did_what(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    events = {entry["event"]: entry for entry in tokens.audit()}
    assert SECOND in events["signature"]["signer"] and events["signature"]["digest"] == "SHA-1"
    assert events["publication"]["from"] == "none" and events["publication"]["to"] == events["signature"]["file"]
    assert events["publication"]["who"] and events["publication"]["time"].endswith("Z")
    pin = (tokens.folder / f"virtual/tokens/{SECOND}/user-pin").read_text().strip()
    assert pin not in tokens("audit").out
    lines = tokens("audit").out.splitlines()
    for line, after in zip(lines, lines[1:]):
        digest = subprocess.run(["sha256sum"], input=line.encode(), capture_output=True, check=True).stdout.decode()
        assert json.loads(after)["previous"] == digest.split()[0]


def test_stores(mixed):
    stores = json.loads(mixed("certificate", "list", "--json").out)["certificates"]
    assert {(each["store"], each.get("node")) for each in stores} == {
        ("CallManager", "cucm-1051-a-pub"), ("CallManager", "cucm-1051-a-sub1"), ("CAPF", "cucm-1051-a-pub"),
        ("CallManager-trust", None), ("CAPF-trust", None)}
    assert "rule own-certificate" in mixed("certificate", "delete", "cucm-1051-a-pub", "--store", "CallManager", "--yes",
                                           expect=4).err
    mixed("certificate", "import", KRAKOW / "tokens" / f"{FIRST}.pem", "--store", "phone-sast-trust")
    serial = json.loads(mixed("certificate", "list", "--store", "Phone-SAST-trust", "--json").out)["certificates"][0]["serial"]
    mixed("certificate", "delete", serial, "--store", "Phone-SAST-trust", "--yes")
    assert mixed("certificate", "list", "--store", "Phone-SAST-trust").out == ""
    mixed("certificate", "import", "no.pem", "--store", "nowhere", expect=2)


def test_two_anchors_never_change_at_once(mixed):
    regenerated = KRAKOW / "regenerated" / "cucm-1051-a-pub"
    for base in ("cucm-1051-a-sub1", "CAPF-e41e7d87"):
        mixed.import_own("TVS", "cucm-1051-a-pub", KRAKOW / "certificates" / base)
    result = mixed("certificate", "import", f"{regenerated}.pem", "--key", f"{regenerated}.key", "--store", "CallManager",
                   expect=4)
    assert "rule one-anchor-at-a-time" in result.err
    mixed.change("update")
    mixed("certificate", "import", f"{regenerated}.pem", "--store", "CallManager", expect=4)
    mixed("restarted")
    mixed.import_own("CallManager", "cucm-1051-a-pub", regenerated)
    result = mixed.change("update")
    assert "the signer changes to cucm-1051-a-pub" in result.err
    forced = mixed("certificate", "import", KRAKOW / "certificates" / "cucm-1051-a-pub.pem", "--store", "CallManager")
    assert forced.code == 0
    assert "rule one-anchor-at-a-time" in mixed("certificate", "import", KRAKOW / "certificates" / "cucm-1051-a-pub.pem",
                                                "--store", "TVS", "--node", "cucm-1051-a-pub", expect=4).err
    mixed("certificate", "import", KRAKOW / "certificates" / "cucm-1051-a-pub.pem", "--store", "TVS", "--node",
          "cucm-1051-a-pub", "--force")
    assert mixed.audit()[-1]["event"] == "certificate-imported" and mixed.audit()[-2]["rule"] == "one-anchor-at-a-time"


def test_before_any_change_there_is_a_backup(mixed):
    def backups():
        folder = mixed.folder / "cluster.db.backups"
        return len(list(folder.iterdir()))

    (mixed.folder / "sub2").mkdir()
    for arguments in (("certificate", "import", KRAKOW / "regenerated" / "cucm-1051-a-pub.pem", "--store", "CallManager"),
                      ("certificate", "delete", "CAPF-e41e7d87", "--store", "CAPF-trust", "--yes"), ("release", "10.5(2)"),
                      ("rollback-parameter", "False"), ("adopt", "--yes"), ("restarted",),
                      ("node", "add", "cucm-1051-a-sub2", "--address", "10.48.47.155", "--target", "sub2"),
                      ("certificate", "import", KRAKOW / "certificates" / "cucm-1051-a-sub1.pem", "--store", "CallManager", "--node",
                       "cucm-1051-a-sub2"),
                      ("certificate", "import", KRAKOW / "tokens" / f"{FIRST}.pem", "--store", "Phone-SAST-trust"),
                      ("node", "remove", "cucm-1051-a-sub1", "--yes")):
        before = backups()
        mixed(*arguments)
        assert backups() == before + 1, arguments


def test_a_cluster_that_can_only_be_read(mixed):
    mount = "mkdir -p ro; cp cluster.db ro/; mount --bind ro ro; mount -o remount,ro,bind ro"
    for arguments in (("status",), ("expiry", "--at", "2015-06-01T00:00:00Z"), ("audit", "--verify"), ("history",),
                      ("certificate", "list"), ("check", "--tokenless")):
        code, errors, _ = in_namespace(mixed, mount, *arguments, "--cluster", "ro/cluster.db")
        assert code == 0 and not errors, arguments
    code, errors, _ = in_namespace(mixed, mount, "release", "10.5(2)", "--cluster", "ro/cluster.db")
    assert code == 6 and "Read-only file system" in errors


def test_status_shows_what_expires(mixed):
    # The certificates of krakow have.
    result = mixed("status")
    assert "CallManager of cucm-1051-a-pub" in result.out and "expired" in result.out
    expires = json.loads(mixed("status", "--json").out)["expires"]
    assert expires[0]["urgency"] == "alarm" and expires[0]["days"] < 0
    mixed("init", "--release", "10.5(1)", "--cluster", "new.db")
    assert json.loads(mixed("status", "--json", "--cluster", "new.db").out)["expires"] == []


def test_the_rollback_parameter_stays_false_where_phones_hold_a_ctl(cluster):
    cluster.change("mixed-mode", "--tokenless")
    cluster("delete-ctl", "--yes")
    assert "rule rollback-parameter" in cluster("rollback-parameter", "True", expect=4).err


def test_a_first_ctl_while_the_rollback_parameter_is_true(cluster):
    cluster("rollback-parameter", "True")
    assert "note: Prepare cluster for rollback to pre-8.0 is True" in cluster("check", "--tokenless").out
    noted = cluster.change("mixed-mode", "--tokenless").err
    assert noted.index("Prepare cluster for rollback to pre-8.0 is True") < noted.index("Do you want to continue?")


def test_the_rollback_parameter_is_a_trap(cluster):
    cluster("rollback-parameter", "True")
    cluster("rollback-parameter", "False")
    cluster.change("mixed-mode", "--tokenless")
    assert "rule rollback-parameter" in cluster("rollback-parameter", "True", expect=4).err
    forced = cluster("rollback-parameter", "True", "--force")
    assert "can verify no CTL with a new signer" in forced.err
    assert [entry["event"] for entry in cluster.audit()[-2:]] == ["forced", "rollback-parameter"]
    cluster.change("update")
    cluster.import_own("CallManager", "cucm-1051-a-pub", KRAKOW / "regenerated" / "cucm-1051-a-pub")
    assert "rule rollback-parameter" in cluster.change("update", expect=4).err
    cluster("rollback-parameter", "False")
    cluster.change("update")
