"""A publication that is killed at every call that changes a disk: the next command finishes or undoes it."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess

import pytest
from conftest import KRAKOW, TIME, program

GOLDEN = {name: (KRAKOW / f"CTLFile-{name}.tlv").read_bytes() for name in ("tokenless", "tokenless-sha512")}
# What reaches a disk, or another process.
CALLS = ("pwrite64", "fsync", "fdatasync", "ftruncate", "linkat", "renameat", "rename", "unlink", "unlinkat", "fallocate", "write")


def run(folder, arguments, *strace):
    command = [*strace, program.PROGRAM, "cluster", *arguments, "--yes"]
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # a leak check cannot run where strace is watching
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


def steps(folder, arguments):
    """[(name, number of the call by that name)] of one whole run."""
    log = folder / "log"
    done = run(folder, arguments, "strace", "-f", "-qq", "-o", str(log), "-e", "trace=" + ",".join(CALLS))
    assert done.returncode == 0, done.stderr
    seen, found = {}, []
    for line in log.read_text().splitlines():
        name = re.match(r"\d+ +(\w+)\(", line)[1]
        seen[name] = seen.get(name, 0) + 1
        found.append((name, seen[name]))
    log.unlink()
    return found


def clone(cluster, name):
    """A copy of cluster and nodes in a folder of its own; the paths of its nodes are corrected."""
    copy = cluster.folder / name
    copy.mkdir()
    for node in cluster.nodes:
        shutil.copytree(cluster.nodes[node], copy / node)
    text = str(cluster.folder)
    with open_database(cluster.folder) as source, open_database(copy) as target:
        source.backup(target)
        target.execute("UPDATE node SET target=replace(target, ?, ?)", (text, str(copy)))
    return copy


def open_database(folder):
    return contextlib.closing(sqlite3.connect(folder / "cluster.db", isolation_level=None))


def files(folder, nodes):
    return {(folder / node / "CTLFile.tlv").read_bytes() if (folder / node / "CTLFile.tlv").exists() else None
            for node in nodes}


@pytest.mark.parametrize("arguments, before, after", [
    (("update", "--digest", "sha512", *TIME), GOLDEN["tokenless"], GOLDEN["tokenless-sha512"]),
    (("delete-ctl",), GOLDEN["tokenless"], None)], ids=["update", "delete-ctl"])
def test_killed_at_every_step(cluster, arguments, before, after):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    found = steps(clone(cluster, "whole"), arguments)
    assert len(found) > 30
    ended = {"finished": 0, "undone": 0, "nothing": 0}
    for number, (name, when) in enumerate(found):
        folder = clone(cluster, str(number))
        done = run(folder, arguments, "strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={when}")
        case = f"{name} #{when}: {done.returncode} {done.stderr.decode()}"
        assert done.returncode in (-9, 137), case
        # Whatever a node serves, it was verified.
        assert files(folder, cluster.nodes) <= {before, after}, case
        status = subprocess.run([program.PROGRAM, "cluster", "status"], cwd=folder, capture_output=True, check=False)
        assert status.returncode in (0, 1), case
        half_done = b"ended in the middle" in status.stdout
        next_one = run(folder, ["release", "10.5(1)"])
        assert next_one.returncode == 0, case + next_one.stderr.decode()
        says = next_one.stderr.decode()
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
        assert run_plain(folder, "audit", "--verify") == 0, case
        assert run_plain(folder, "status") == 0, case
        shutil.rmtree(folder)
    assert ended["finished"] > 3 and ended["undone"] > 3, ended


def run_plain(folder, *arguments):
    return subprocess.run([program.PROGRAM, "cluster", *arguments], cwd=folder, capture_output=True, check=False).returncode
