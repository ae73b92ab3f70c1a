"""An sshd of a test's own, on loopback."""

import os
import pwd
import socket
import subprocess
import time


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def fingerprint(path):
    return subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, check=True).stdout.decode().split()[1]


class Server:
    def __init__(self, folder):
        self.folder, self.log = folder, folder / "log"
        folder.mkdir()
        for key in ("host", "other", "user"):
            make_key(folder / key)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    def start(self, host_key="host", mount="", sftp="internal-sftp"):
        (self.folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder / host_key}\nUsePAM no\nStrictModes no\n"
            f"PidFile none\nMaxStartups 1000\nAuthorizedKeysFile {self.folder / 'user.pub'}\nSubsystem sftp {sftp}\n")
        # A folder that sshd wants is made in a file system of its own.
        script = f"mount -t tmpfs none /run; mkdir /run/sshd; {mount}\nexec /usr/sbin/sshd -D -e -f {self.folder / 'config'}"
        way = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
        with self.log.open("ab") as log:  # not a pipe: nobody would empty it
            self.process = subprocess.Popen([*way, "sh", "-euc", script], stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("sshd does not listen")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


def target(server, folder):
    """The options of `node add` for FOLDER behind SERVER."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    return ("--target", f"sftp://{user}@127.0.0.1:{server.port}{folder}", "--identity", server.folder / "user")
