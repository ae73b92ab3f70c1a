"""Commands that are killed at the calls that change a disk or reach another process: the next command finishes or undoes.

At every one of these calls with CTLSIGN_KILL=everywhere, else at a few from the first to the last."""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess

import pytest
from conftest import FIRST, KRAKOW, SECOND, TIME, program

GOLDEN = {name: (KRAKOW / f"CTLFile-{name}.tlv").read_bytes() for name in ("tokenless", "tokenless-sha512")}
# What reaches a disk, or another process.
CALLS = ("pwrite64", "fsync", "fdatasync", "ftruncate", "link", "linkat", "renameat", "rename", "unlink", "unlinkat", "fallocate", "write",
         "sendto")
EVERYWHERE = os.environ.get("CTLSIGN_KILL") == "everywhere"
FEW = 10


def run(folder, arguments, *strace, env=None):
    command = [*strace, program.PROGRAM, "cluster", *map(str, arguments)]
    # A leak check cannot run where strace is watching.
    environment = {**os.environ, **(env or {}), "ASAN_OPTIONS": "detect_leaks=0"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


def steps(folder, arguments, env=None):
    """[(name, number of the call by that name)] of one whole run."""
    log = folder / "log"
    done = run(folder, arguments, "strace", "-f", "-qq", "-o", str(log), "-e", "trace=" + ",".join(CALLS), env=env)
    assert done.returncode == 0, done.stderr
    seen, found = {}, []
    for line in log.read_text().splitlines():
        name = re.match(r"\d+ +(\w+)\(", line)
        if name:
            seen[name[1]] = seen.get(name[1], 0) + 1
            found.append((name[1], seen[name[1]]))
    log.unlink()
    return found


def chosen(found):
    """The calls of FOUND to be killed at."""
    assert len(found) > 5
    if EVERYWHERE:
        return found
    return sorted({found[number * (len(found) - 1) // (FEW - 1)] for number in range(FEW)}, key=found.index)


def run_and_kill(folder, arguments, call, env=None):
    """Whether it came as far as the CALL and was killed there, and how to call the case."""
    name, when = call
    done = run(folder, arguments, "strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={when}", env=env)
    case = f"{name} #{when}: {done.returncode} {done.stderr.decode()}"
    assert done.returncode in (0, -9, 137), case
    return done.returncode != 0, case


def killed(cluster, found, arguments, env=None, prepare=lambda folder: None):
    """For each of the calls chosen of FOUND: a copy of the cluster, PREPAREd, whose ARGUMENTS were killed there, and how to
    call the case."""
    found = chosen(found)
    ended_before = 0
    for number, call in enumerate(found):
        folder = clone(cluster, str(number))
        prepare(folder)
        was_killed, case = run_and_kill(folder, arguments, call, env)
        if not was_killed:  # over a network one run needs a few calls less than another
            ended_before += 1
        else:
            yield folder, case
            assert run(folder, ["audit", "--verify"]).returncode == 0, case
        shutil.rmtree(folder)
    assert ended_before <= len(found) / 10


def clone(cluster, name):
    """A copy of cluster and nodes in a folder of its own; the paths of its nodes are corrected."""
    copy = cluster.folder / name
    copy.mkdir()
    for node in cluster.nodes:
        shutil.copytree(cluster.nodes[node], copy / node)
    text = str(cluster.folder)
    with open_database(cluster.folder) as source, open_database(copy) as target:
        source.backup(target)
        for node in cluster.nodes:
            target.execute("UPDATE node SET target=replace(target, ?, ?)", (f"{text}/{node}", f"{copy}/{node}"))
    return copy


def open_database(folder):
    return contextlib.closing(sqlite3.connect(folder / "cluster.db", isolation_level=None))


def files(folder, nodes):
    return {(folder / node / "CTLFile.tlv").read_bytes() if (folder / node / "CTLFile.tlv").exists() else None
            for node in nodes}


def next_command(folder, case):
    """One that changes nothing by itself: what it says."""
    done = run(folder, ["release", "10.5(1)", "--yes"])
    assert done.returncode == 0, case + done.stderr.decode()
    return done.stderr.decode()


def token_states(folder):
    listed = json.loads(run(folder, ["token", "list", "--json"]).stdout)["tokens"]
    return {token["label"].strip(): token["state"] for token in listed}


@pytest.mark.parametrize("arguments, before, after", [
    (("update", "--digest", "sha512", "--yes", *TIME), GOLDEN["tokenless"], GOLDEN["tokenless-sha512"]),
    (("delete-ctl", "--yes"), GOLDEN["tokenless"], None)], ids=["update", "delete-ctl"])
def test_a_publication(cluster, arguments, before, after):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    ended = {"finished": 0, "undone": 0, "nothing": 0}
    for folder, case in killed(cluster, steps(clone(cluster, "whole"), arguments), arguments):
        # Whatever a node serves, it was verified.
        assert files(folder, cluster.nodes) <= {before, after}, case
        status = run(folder, ["status"])
        assert status.returncode in (0, 1), case
        half_done = b"ended in the middle" in status.stdout
        # A dry run neither finishes nor undoes.
        half = [file.read_bytes() for file in sorted(folder.glob("*/CTLFile.tlv"))]
        dry = run(folder, ["non-secure-mode", "--dry-run", "--signer", f"{KRAKOW}/certificates/cucm-1051-a-pub.key"])
        assert (b"ended in the middle" in dry.stderr) == half_done, case
        assert half == [file.read_bytes() for file in sorted(folder.glob("*/CTLFile.tlv"))], case
        says = next_command(folder, case)
        served = files(folder, cluster.nodes)
        assert served in ({before}, {after}), case
        ended["finished" if "it is finished now" in says else "undone" if "it is undone now" in says else "nothing"] += 1
        assert half_done == ("was ended in the middle" in says), case
        if "it is undone now" in says:
            assert served == {before}, case
        if "it is finished now" in says:
            assert served == {after}, case
        for node in cluster.nodes:
            left = [entry.name for entry in (folder / node).iterdir()]
            assert left in ([], ["CTLFile.tlv"]), case
        assert run(folder, ["status"]).returncode == 0, case
    assert ended["finished"] and ended["undone"], ended


def test_a_publication_over_sftp(remote):
    arguments = ("update", "--digest", "sha512", "--yes", *TIME)
    before, after = GOLDEN["tokenless"], GOLDEN["tokenless-sha512"]
    found = steps(clone(remote, "whole"), arguments)
    ended = set()
    for folder, case in killed(remote, found, arguments):
        assert files(folder, remote.nodes) <= {before, after}, case
        says = next_command(folder, case)
        served = files(folder, remote.nodes)
        assert served in ({before}, {after}), case
        ended.add("finished" if "it is finished now" in says else "undone" if "it is undone now" in says else "nothing")
        assert run(folder, arguments).returncode == 0, case
        for node in remote.nodes:
            assert [entry.name for entry in (folder / node).iterdir()] == ["CTLFile.tlv"], case
    assert ended == {"finished", "undone", "nothing"}


def own_keys(folder, database="cluster.db"):
    """The paths of the keys that the stores name."""
    listed = json.loads(run(folder, ["certificate", "list", "--json", "--cluster", database]).stdout)["certificates"]
    return {each["key"] for each in listed if each.get("key")}


def certificate_of(folder, node):
    """Serial number and place of the key of its CallManager certificate."""
    listed = json.loads(run(folder, ["certificate", "list", "--store", "CallManager", "--json"]).stdout)["certificates"]
    return next((each["serial"], each["key"]) for each in listed if each["node"] == node)


def test_a_regeneration(cluster):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    arguments = ("certificate", "regenerate", "--store", "CallManager", "--node", "cucm-1051-a-pub", "--yes")
    found = steps(clone(cluster, "whole"), arguments)
    old, _ = certificate_of(cluster.folder, "cucm-1051-a-pub")
    new = cases = 0
    ended = {"finished": 0, "undone": 0, "nothing": 0}
    for folder, case in killed(cluster, found, arguments):
        cases += 1
        assert files(folder, cluster.nodes) == {GOLDEN["tokenless"]}, case
        serial, key = certificate_of(folder, "cucm-1051-a-pub")
        assert os.path.exists(key), case
        # The certificate of before with its key, or the new one with its own: a CTL can be signed either way.
        half_done = b"ended in the middle" in run(folder, ["status"]).stdout
        dry = run(folder, ["update", "--dry-run"])
        assert (b"ended in the middle" in dry.stderr) == half_done, case
        says = next_command(folder, case)
        assert half_done == ("was ended in the middle" in says), case
        end = "finished" if "it is finished now" in says else "undone" if "it is undone now" in says else "nothing"
        ended[end] += 1
        # A key that was written has its certificate.
        assert {str(path) for path in folder.glob("cluster.db.keys/*.pem")} <= own_keys(folder), case
        before, (serial, key) = serial, certificate_of(folder, "cucm-1051-a-pub")
        assert (before == old and serial != old) == (end == "finished") and os.path.exists(key), case
        new += serial != old
        done = run(folder, ["update", "--yes", *TIME])
        assert done.returncode == 0, case + done.stderr.decode()
        assert (files(folder, cluster.nodes) == {GOLDEN["tokenless"]}) == (serial == old), case
        # What was half written goes with the next of its kind.
        done = run(folder, ["certificate", "regenerate", "--store", "CAPF", "--yes"])
        assert done.returncode == 0 and not list(folder.rglob("*.ctlsign-*")), case
    assert 0 < new < cases and ended["finished"], ended


def test_a_regeneration_into_a_file_that_is_named(cluster):
    arguments = ("certificate", "regenerate", "--store", "CallManager", "--node", "cucm-1051-a-pub", "--key", "new.key", "--yes")
    found = steps(clone(cluster, "whole"), arguments)
    begun = 0
    for folder, case in killed(cluster, found, arguments):
        # What came there meanwhile is another's: never taken for it, replaced or taken away.
        came = not (folder / "new.key").exists()
        if came:
            (folder / "new.key").write_text("another's")
        says = next_command(folder, case)
        begun += came and "it is undone now" in says
        assert came == (str(folder / "new.key") not in own_keys(folder)), case
        there = (folder / "new.key").read_bytes()
        done = run(folder, arguments)
        assert done.returncode == 6 and b"nothing is replaced" in done.stderr, case
        next_command(folder, case)
        assert (folder / "new.key").read_bytes() == there and (there == b"another's") == came, case
    assert begun


def test_a_restored_backup(cluster):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    cluster("backup", "-o", "secured.backup")
    cluster.change("non-secure-mode")
    backup = cluster.folder / "secured.backup"
    arguments = ("restore", backup, "--yes")
    modes = set()
    for folder, case in killed(cluster, steps(clone(cluster, "whole"), arguments), arguments):
        shown = json.loads(run(folder, ["status", "--json"]).stdout)
        publications = json.loads(run(folder, ["history", "--json"]).stdout)["publications"]
        modes.add((shown["mode"], sum("withdrawn" not in each for each in publications)))
        assert run(folder, arguments).returncode == 0, case
        assert json.loads(run(folder, ["status", "--json"]).stdout)["mode"] == "mixed", case
    assert modes == {("non-secure", 2), ("mixed", 1)}


def test_a_backup_restored_into_a_new_file(cluster):
    cluster("backup", "-o", "new.backup")
    arguments = ("restore", cluster.folder / "new.backup", "--cluster", "again.db")
    found = steps(clone(cluster, "whole"), arguments)
    there = cases = 0
    for folder, case in killed(cluster, found, arguments):
        cases += 1
        if (folder / "again.db").exists():
            there += 1
        else:
            assert run(folder, arguments).returncode == 0, case
        assert run(folder, ["audit", "--verify", "--cluster", "again.db"]).returncode == 0, case
        last = run(folder, ["audit", "--cluster", "again.db"]).stdout.splitlines()[-1]
        assert json.loads(last)["event"] == "restored", case
    assert 0 < there < cases


def test_a_backup_restored_over_a_damaged_file(cluster):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    cluster("backup", "-o", "secured.backup")
    damaged = b"x" * 8192

    def damage(folder):
        (folder / "cluster.db").write_bytes(damaged)
        return folder

    arguments = ("restore", cluster.folder / "secured.backup", "--yes")
    restored = cases = 0
    for folder, case in killed(cluster, steps(damage(clone(cluster, "whole")), arguments), arguments, prepare=damage):
        cases += 1
        # Never none, which could be made anew: the one of before, or the backup.
        restored += (folder / "cluster.db").read_bytes() != damaged
        assert run(folder, ["status"]).returncode in (0, 3), case
        assert run(folder, arguments).returncode == 0, case
        assert json.loads(run(folder, ["status", "--json"]).stdout)["mode"] == "mixed", case
        assert damaged in [kept.read_bytes() for kept in folder.glob("cluster.db.damaged-*[0-9]")], case
    assert 0 < restored < cases


def test_a_backup_with_keys(cluster):
    (cluster.folder / "words").write_text("the safe in the cellar\n")
    words = ("--pin-source", f"file:{cluster.folder}/words")
    arguments = ("backup", "-o", "out/full.backup", "--keys", *words)

    def make(folder):
        (folder / "out").mkdir()
        return folder

    there = cases = 0
    for folder, case in killed(cluster, steps(make(clone(cluster, "whole")), arguments), arguments, prepare=make):
        cases += 1
        again = ("restore", "out/full.backup", "--cluster", "again.db", "--keys", "keys", *words)
        if (folder / "out" / "full.backup").exists():
            there += 1
            assert run(folder, again).returncode == 0, case
        # Into the folder of the user's, too, nothing but the backup.
        assert run(folder, arguments).returncode == 0, case
        assert [each.name for each in (folder / "out").iterdir()] == ["full.backup"], case
        assert run(folder, [*again[:3], "third.db", *again[4:]]).returncode == 0, case
    assert 0 < there < cases


@pytest.mark.parametrize("database", ["cluster.db", "again.db"], ids=["over-the-cluster", "as-a-new-file"])
def test_keys_that_are_restored(cluster, database):
    (cluster.folder / "words").write_text("the safe in the cellar\n")
    words = ("--pin-source", f"file:{cluster.folder}/words")
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    cluster("backup", "-o", "full.backup", "--keys", *words)
    cluster.change("non-secure-mode")
    arguments = ("restore", cluster.folder / "full.backup", "--cluster", database, "--keys", "keys", *words, "--yes")
    whole = clone(cluster, "whole")
    found = steps(whole, arguments)
    expected = {path.name: path.read_bytes() for path in (whole / "keys").iterdir()}
    publisher = (KRAKOW / "certificates" / "cucm-1051-a-pub.key").read_bytes()
    assert len(expected) == 3 and publisher in expected.values()
    before = own_keys(cluster.folder)
    restored = cases = 0
    for folder, case in killed(cluster, found, arguments):
        cases += 1
        # Each of the keys is whole or not there, and whichever state is there names keys that are.
        for path in (folder / "keys").glob("[!.]*"):
            assert path.read_bytes() == expected[path.name] and path.stat().st_mode & 0o777 == 0o600, case
        if (folder / database).exists():
            named = own_keys(folder, database)
            restored += named != before
            assert all(os.path.exists(key) for key in named), case
            assert named == before or len(named) == len(expected), case
        assert run(folder, arguments).returncode == 0, case
        assert {path.name: path.read_bytes() for path in (folder / "keys").iterdir()} == expected, case
        assert own_keys(folder, database) == {str(folder / "keys" / name) for name in expected}, case
        assert json.loads(run(folder, ["status", "--json", "--cluster", database]).stdout)["mode"] == "mixed", case
    assert 0 < restored < cases


def test_an_adoption(cluster):
    golden = (KRAKOW / "CTLFile-tokens.tlv").read_bytes()
    for folder in cluster.nodes.values():
        (folder / "CTLFile.tlv").write_bytes(golden)
    arguments = ("adopt", "--yes")
    modes = set()
    for folder, case in killed(cluster, steps(clone(cluster, "whole"), arguments), arguments):
        assert files(folder, cluster.nodes) == {golden}, case
        shown = json.loads(run(folder, ["status", "--json"]).stdout)
        publications = json.loads(run(folder, ["history", "--json"]).stdout)["publications"]
        listed = json.loads(run(folder, ["token", "list", "--json"]).stdout)["tokens"]
        # The mode, the CTL and its tokens, or none of them.
        modes.add((shown["mode"], len(publications), len(listed)))
        assert run(folder, arguments).returncode == 0, case
        status = run(folder, ["status", "--json"])
        assert json.loads(status.stdout)["mode"] == "mixed" and files(folder, cluster.nodes) == {golden}, case
    assert modes == {("non-secure", 0, 0), ("mixed", 1, 2)}


def test_an_import(cluster):
    """Certificates of another cluster, for phones that are to move there."""
    (cluster.folder / "other-pub").mkdir()
    for arguments in (("init", "--name", "other", "--release", "10.5(1)"),
                      ("node", "add", "other-pub", "--address", "10.0.0.1", "--target", "other-pub", "--publisher"),
                      ("certificate", "regenerate", "--store", "CallManager", "--node", "other-pub", "--subject", "CN=other", "--yes"),
                      ("certificate", "regenerate", "--store", "CAPF", "--subject", "CN=CAPF-other", "--yes"),
                      ("mixed-mode", "--tokenless", "--yes"), ("export", ".")):
        cluster(*arguments, "--cluster", "other.db")
    arguments = ("import", cluster.folder / "other.p12", "--yes")

    def trusted(folder):
        listed = json.loads(run(folder, ["certificate", "list", "--json"]).stdout)["certificates"]
        return sorted((each["store"], each["serial"]) for each in listed)

    before = trusted(cluster.folder)
    whole = clone(cluster, "whole")
    found = steps(whole, arguments)
    after = trusted(whole)
    seen = []
    for folder, case in killed(cluster, found, arguments):
        # All of them or none.
        seen.append(trusted(folder))
        assert seen[-1] in (before, after), case
        done = run(folder, arguments)
        assert done.returncode == 0 and (b"0 of them new" in done.stdout) == (seen[-1] == after), case
        assert trusted(folder) == after, case
    assert before in seen and after in seen


def test_a_file_system_that_is_gone(cluster):
    database = cluster.folder / "cluster.db"
    for number in range(1, 1000):
        done = run(cluster.folder, ["status"], "strace", "-f", "-qq", "-o", "/dev/null", "-P", str(database),
                   "-e", f"inject=pread64:error=ESTALE:when={number}+")
        if done.returncode == 0:
            break
        assert done.returncode == 6, done.stderr
    assert number > 5


def test_a_recovery_in_two_steps(tokens):
    """All tokens lost before release 10: the CTL is deleted, then made with a new pair (W11)."""
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    before = tokens.ctl
    tokens("release", "9.1(2)")
    for name in (FIRST, SECOND):
        tokens.unplug(name)
    for name in ("NEW-A", "NEW-B"):
        tokens.create_token(name)
    plugged = json.loads(tokens.ctlsign("token", "list", "--json", env=tokens.env).out)["tokens"]
    pin = f"file:{tokens.folder}/virtual/tokens/{plugged[-1]['label'].strip()}/user-pin"
    arguments = ("recover", "--lost", FIRST, "--lost", SECOND, "--way", "new-tokens", "--pin-source", pin, "--yes", *TIME)
    whole = clone(tokens, "whole")
    # The writes between are walked through by the tests of one publication.
    found = [call for call in steps(whole, arguments, tokens.env) if call[0] not in ("write", "pwrite64")]
    after = files(whole, tokens.nodes).pop()
    seen = set()
    between = 0
    for folder, case in killed(tokens, found, arguments, tokens.env):
        assert files(folder, tokens.nodes) <= {before, None, after}, case
        seen |= files(folder, tokens.nodes)
        next_command(folder, case)
        way_out = b"recover --way new-tokens was ended in the middle" in run(folder, ["release", "9.1(2)", "--yes"]).stderr
        # Between the steps every command says what goes on; what was said of the tokens is not to be said again.
        assert way_out == (files(folder, tokens.nodes) == {None}), case
        between += way_out
        again = [*arguments[:1], *arguments[5:]] if way_out else arguments
        # The same command again goes on where it was ended, or finds that nothing is left to do.
        done = run(folder, again, env=tokens.env)
        assert done.returncode == 0, case + done.stderr.decode()
        assert files(folder, tokens.nodes) == {after}, case
        status = json.loads(run(folder, ["status", "--json"], env=tokens.env).stdout)
        assert status["mode"] == "mixed" and status["ctl"]["signer"] and "recovery" not in status, case
        assert token_states(folder) == {FIRST: "lost", SECOND: "lost", "NEW-A": "in use", "NEW-B": "in use"}, case
    assert seen == {before, None, after} and between


def test_an_init(tmp_path):
    arguments = ("init", "--name", "krakow", "--release", "10.5(1)")
    folder = tmp_path / "whole"
    folder.mkdir()
    there = cases = 0
    for number, call in enumerate(chosen(steps(folder, arguments))):
        folder = tmp_path / str(number)
        folder.mkdir()
        was_killed, case = run_and_kill(folder, arguments, call)
        assert was_killed, case
        cases += 1
        # Either there is a whole cluster, or it can be made.
        if (folder / "cluster.db").exists():
            there += 1
            assert run(folder, ["audit", "--verify"]).returncode == 0, case
            assert b"cluster-made" in run(folder, ["audit"]).stdout, case
        else:
            assert run(folder, arguments).returncode == 0, case
        assert run(folder, ["status"]).returncode == 0, case
    assert 0 < there < cases


def test_a_token_that_is_replaced(tokens):
    """What became of the lost one is known when the CTL without it is there, whoever ends the publication."""
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    before = tokens.ctl
    tokens.unplug(FIRST)
    tokens.create_token("NEW")
    arguments = ("token", "add", "pkcs11:token=NEW", "--drop", FIRST, "--lost", *tokens.tokens(SECOND), "--yes", *TIME)
    whole = clone(tokens, "whole")
    found = [call for call in steps(whole, arguments, tokens.env) if call[0] not in ("write", "pwrite64")]
    after = files(whole, tokens.nodes).pop()
    ended = set()
    for folder, case in killed(tokens, found, arguments, tokens.env):
        says = next_command(folder, case)
        served = files(folder, tokens.nodes)
        assert served in ({before}, {after}), case
        expected = {FIRST: "lost", "NEW": "in use"} if served == {after} else {FIRST: "in use"}
        assert token_states(folder) == {SECOND: "in use", **expected}, case
        ended.add("finished" if "it is finished now" in says else "undone" if "it is undone now" in says else "nothing")
    assert "finished" in ended, ended


def test_nobody_comes_between_the_steps_of_a_recovery(tokens):
    """The right to change the cluster is taken once, before the first of them."""
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND))
    for name in (FIRST, SECOND):
        tokens.unplug(name)
    for name in ("NEW-A", "NEW-B"):
        tokens.create_token(name)
    log = tokens.folder / "log"
    pins = tokens.tokens("NEW-A", "NEW-B")
    arguments = ("recover", "--lost", FIRST, "--lost", SECOND, "--way", "new-tokens", *pins, "--yes", *TIME)
    done = run(tokens.folder, arguments, "strace", "-f", "-qq", "-y", "-o", str(log), "-e", "trace=flock", env=tokens.env)
    assert done.returncode == 0, done.stderr
    assert log.read_text().count("cluster.db.lock") == 1


def test_a_key_that_is_made_anew(cluster):
    """The publisher's key is gone: a new one is made, then it signs."""
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    publisher = KRAKOW / "certificates" / "cucm-1051-a-pub.pem"
    cluster("certificate", "import", publisher, "--store", "CallManager", "--node", "cucm-1051-a-pub", "--key", "gone.key")
    arguments = ("recover", "--way", "regenerate", "--yes", *TIME)
    found = [call for call in steps(clone(cluster, "whole"), arguments) if call[0] not in ("write", "pwrite64")]
    before = {GOLDEN["tokenless"]}
    between = 0
    for folder, case in killed(cluster, found, arguments):
        next_command(folder, case)
        _, key = certificate_of(folder, "cucm-1051-a-pub")
        made = key != str(cluster.folder / "gone.key")
        assert made or files(folder, cluster.nodes) == before, case
        done = run(folder, arguments)
        assert done.returncode == 0, case + done.stderr.decode()
        # With the new key there, nothing is lost: what is left to do is said.
        if made and files(folder, cluster.nodes) == before:
            between += 1
            assert b"run ctlsign cluster update" in done.stderr, case
            assert run(folder, ["update", "--yes", *TIME]).returncode == 0, case
        assert files(folder, cluster.nodes).isdisjoint(before) and run(folder, ["status"]).returncode == 0, case
    assert between
