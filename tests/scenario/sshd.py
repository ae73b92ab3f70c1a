"""An sshd of a test's own, on loopback."""

import contextlib
import os
import pwd
import socket
import subprocess
import time


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def fingerprint(path):
    return subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, check=True).stdout.decode().split()[1]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    def __init__(self, folder):
        self.folder, self.log = folder, folder / "log"
        folder.mkdir()
        for key in ("host", "other", "user"):
            make_key(folder / key)
        self.port, self.process = None, None

    def start(self, host_key="host", mount="", sftp="internal-sftp"):
        """On a port of its own, which stays the same from the first time on: nodes know it by then."""
        first, deadline = self.port is None, time.monotonic() + 30
        while True:
            if first:
                self.port = free_port()
            begin = self._launch(host_key, mount, sftp)
            while self.process.poll() is None:
                # By its own word, too: at this port another sshd may be.
                if b"Server listening" in self.log.read_bytes()[begin:] and self._answers():
                    return
                if time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError("sshd does not answer")
                time.sleep(0.02)
            # Another process took the port meanwhile.
            told = self.log.read_bytes()[begin:]
            assert b"Address already in use" in told and time.monotonic() < deadline, told
            time.sleep(0.02)

    def _launch(self, host_key, mount, sftp):
        """Where in the log its lines begin."""
        (self.folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder / host_key}\nUsePAM no\nStrictModes no\n"
            f"PidFile none\nMaxStartups 1000\nAuthorizedKeysFile {self.folder / 'user.pub'}\nSubsystem sftp {sftp}\n")
        # A folder that sshd wants is made in a file system of its own.
        script = f"mount -t tmpfs none /run; mkdir /run/sshd; {mount}\nexec /usr/sbin/sshd -D -e -f {self.folder / 'config'}"
        way = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
        with self.log.open("a") as log:  # not a pipe: nobody would empty it
            begin = log.tell()
            self.process = subprocess.Popen([*way, "sh", "-euc", script], stderr=log)
        return begin

    def _answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
            return probe.recv(4) == b"SSH-"
        return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


def target(server, folder):
    """The options of `node add` for FOLDER behind SERVER."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    return ("--target", f"sftp://{user}@127.0.0.1:{server.port}{folder}", "--identity", server.folder / "user")
