"""A node behind SFTP: an sshd of the test's own, on loopback."""

import os
import pwd
import socket
import subprocess
import time

import pytest
from conftest import KRAKOW

GOLDEN = {name: (KRAKOW / f"CTLFile-{name}.tlv").read_bytes() for name in ("tokenless", "tokenless-sha512")}


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def fingerprint(path):
    return subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, check=True).stdout.decode().split()[1]


class Server:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        for key in ("host", "other", "user"):
            make_key(folder / key)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    def start(self, host_key="host", mount=""):
        (self.folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder / host_key}\nUsePAM no\nStrictModes no\n"
            f"PidFile none\nAuthorizedKeysFile {self.folder / 'user.pub'}\nSubsystem sftp internal-sftp\n")
        # A folder that sshd wants is made in a file system of its own.
        script = f"mount -t tmpfs none /run; mkdir /run/sshd; {mount}\nexec /usr/sbin/sshd -D -e -f {self.folder / 'config'}"
        way = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
        self.process = subprocess.Popen([*way, "sh", "-euc", script], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.02)
        raise AssertionError("sshd does not listen")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process.stderr.close()
            self.process = None


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "ssh")
    server.start()
    yield server
    server.stop()


def target(server, folder):
    user = pwd.getpwuid(os.geteuid()).pw_name
    return ("--target", f"sftp://{user}@127.0.0.1:{server.port}{folder}", "--identity", server.folder / "user")


@pytest.fixture
def remote(cluster, server):
    """The cluster with its subscriber behind SFTP, in mixed mode."""
    folder = cluster.nodes["cucm-1051-a-sub1"]
    cluster("node", "remove", "cucm-1051-a-sub1", "--yes")
    arguments = ("node", "add", "cucm-1051-a-sub1", "--address", "10.48.47.154", *target(server, folder))
    told = cluster(*arguments, expect=6).err
    assert fingerprint(server.folder / "host.pub") in told and "--host-key" in told
    cluster(*arguments, "--host-key", fingerprint(server.folder / "host.pub"))
    cluster.import_own("CallManager", "cucm-1051-a-sub1", KRAKOW / "certificates" / "cucm-1051-a-sub1")
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    assert cluster.ctl == GOLDEN["tokenless"]
    return cluster


def test_a_file_is_replaced_and_taken_away(remote):
    remote.change("update", "--digest", "sha512")
    assert remote.ctl == GOLDEN["tokenless-sha512"]
    assert remote("status").code == 0
    remote("delete-ctl", "--yes")
    assert remote.ctl is None


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


def test_a_key_that_is_not_let_in(remote, server):
    (server.folder / "user.pub").write_text("")
    assert "cucm-1051-a-sub1" in remote.change("update", expect=6).err
    assert remote.ctl == GOLDEN["tokenless"]
