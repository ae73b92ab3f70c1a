"""A node behind SFTP: an sshd of the test's own, on loopback."""

import os
import subprocess

import pytest
from conftest import KRAKOW, TIME, program
from sshd import fingerprint, target

GOLDEN = {name: (KRAKOW / f"CTLFile-{name}.tlv").read_bytes() for name in ("tokenless", "tokenless-sha512")}


def test_a_file_is_replaced_and_taken_away(remote):
    remote.change("update", "--digest", "sha512")
    assert remote.ctl == GOLDEN["tokenless-sha512"]
    assert remote("status").code == 0
    remote("delete-ctl", "--yes")
    assert remote.ctl is None


@pytest.mark.parametrize("sftp, more", [("internal-sftp -P posix-rename", ""), ("internal-sftp", "MaxSessions 1")],
                         ids=["without posix-rename", "one channel a connection"])
def test_a_server_that_replaces_no_file_in_one_step(remote, server, sftp, more):
    server.stop()
    server.start(sftp=f"{sftp}\n{more}")
    remote.change("update", "--digest", "sha512")
    assert remote.ctl == GOLDEN["tokenless-sha512"]
    assert remote("status").code == 0


@pytest.mark.parametrize("arguments", [("update", "--digest", "sha512", *TIME), ("delete-ctl",)], ids=["a file", "none"])
def test_another_node_cannot_be_read_again(remote, arguments):
    """What the server was given is taken back."""
    first = remote.nodes["cucm-1051-a-pub"] / "CTLFile.tlv"
    log = remote.folder / "log"
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}

    def change(*strace):
        command = ["strace", "-f", "-qq", "-P", str(first), *strace, program.PROGRAM, "cluster", *arguments, "--yes"]
        return subprocess.run(command, cwd=remote.folder, env=environment, capture_output=True, check=False)

    assert change("-o", str(log), "-e", "trace=openat").returncode == 0
    opened = log.read_text().count("openat(")
    if remote.ctl is not None:
        remote("delete-ctl", "--yes")
    remote.change("mixed-mode", "--tokenless", "--digest", "sha1")
    failed = change("-o", "/dev/null", "-e", f"inject=openat:error=EIO:when={opened}")
    assert failed.returncode == 6 and b"every node has gone back to what it served" in failed.stderr, failed.stderr
    assert remote.ctl == GOLDEN["tokenless"] and remote("status").code == 0


def test_another_host_key(remote, server):
    server.stop()
    server.start("other")
    result = remote.change("update", "--digest", "sha512", expect=6)
    assert fingerprint(server.folder / "other.pub") in result.err and "nothing was changed" in result.err
    assert remote.ctl == GOLDEN["tokenless"]


def test_a_server_that_is_down(remote, server):
    server.stop()
    result = remote.change("update", "--digest", "sha512", expect=6)
    assert "cucm-1051-a-sub1" in result.err and remote.ctl == GOLDEN["tokenless"]


def test_a_disk_that_is_full(remote, server):
    server.stop()
    folder = remote.nodes["cucm-1051-a-sub1"]
    server.start(mount=f"cp {folder}/CTLFile.tlv {server.folder}/kept; mount -t tmpfs -o size=16k none {folder}; "
                       f"cp {server.folder}/kept {folder}/CTLFile.tlv; head -c 8192 /dev/zero > {folder}/filler")
    result = remote.change("update", "--digest", "sha512", expect=6)
    assert "no node was switched" in result.err
    assert remote("status").code == 0 and remote.ctl == GOLDEN["tokenless"]


def test_a_disk_whose_server_says_only_at_the_end_that_it_is_full(remote, server):
    """As of some network file systems: close() fails."""
    server.stop()
    following = remote.nodes["cucm-1051-a-sub1"] / ".CTLFile.tlv.next"
    server.start(sftp=f"/usr/bin/strace -f -qq -o /dev/null -P {following} -e inject=close:error=ENOSPC /usr/lib/openssh/sftp-server")
    result = remote.change("update", "--digest", "sha512", expect=6)
    assert "closing" in result.err and "no node was switched" in result.err
    assert remote.ctl == GOLDEN["tokenless"]


def test_a_key_that_is_not_let_in(remote, server):
    (server.folder / "user.pub").write_text("")
    assert "cucm-1051-a-sub1" in remote.change("update", expect=6).err
    assert remote.ctl == GOLDEN["tokenless"]


def test_a_meeting_place_without_end(remote, server):
    meeting = remote.folder / "meeting"
    meeting.mkdir()
    for number in range(100_001):
        (meeting / str(number)).touch()
    _, place, *identity = target(server, meeting)
    told = remote.ctlsign("cluster", "consolidate", place, *identity, "--host-key", fingerprint(server.folder / "host.pub"), expect=3).err
    assert "the limit is 100000 files" in told


def test_clusters_meet_behind_sftp(remote, server):
    meeting = remote.folder / "meeting"
    meeting.mkdir()
    _, place, *identity = target(server, meeting)
    trust = (*identity, "--host-key", fingerprint(server.folder / "host.pub"))
    other = ("--cluster", "other.db")
    remote("init", "--name", "other", "--release", "10.5(1)", *other)
    (remote.folder / "other").mkdir()
    remote("node", "add", "other-pub", "--address", "10.0.0.1", "--target", "other", "--publisher", *other)
    remote("certificate", "regenerate", "--store", "CallManager", "--node", "other-pub", "--subject", "CN=other-pub", "--yes", *other)
    remote("export", place, *identity, "--host-key", "SHA256:none", expect=6)
    assert list(meeting.iterdir()) == []
    for more in ((), (), other):
        remote("export", place, *trust, *more)
    remote.ctlsign("cluster", "consolidate", place, *trust)
    assert sorted(file.name for file in meeting.iterdir()) == ["consolidated.p12", "krakow.p12", "other.p12"]
    assert "CallManager of other" in remote("import", place, *trust, "--yes").out
    assert "2 of them new" in remote("import", place, *trust, "--yes", *other).out
