"""A Debian of the test's own, with systemd running in it: what is done there stays there. See own_root."""

import os
import subprocess
import time
from pathlib import Path

START = Path(__file__).resolve().parent / "own_root"
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


class Root:
    """BASE is the folder of a Debian; / is this machine's. OPTIONS are those of own_root."""

    def __init__(self, folder, base="/", *options):
        self.given = folder / "given"  # /mnt inside
        self._log = folder / "log"
        with open(self._log, "w") as log:
            self._process = subprocess.Popen([*AS_ROOT, START, folder, base, *options], stdin=subprocess.PIPE, stdout=log,
                                             stderr=subprocess.STDOUT)
        self._inside = None
        deadline = time.monotonic() + 60
        while not self._is_running():
            assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def _is_running(self):
        init = self._find_init()
        if init is not None:
            self._inside = [*AS_ROOT, "nsenter", "-t", init, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wdns=/"]
        return init is not None and self.run("systemctl", "is-system-running", code=None)[0] == 0

    def _find_init(self):
        """The systemd that is process number one inside, by its number here."""
        found = [str(self._process.pid)]
        for process in found:
            try:
                status = Path(f"/proc/{process}/status").read_text()
                found += Path(f"/proc/{process}/task/{process}/children").read_text().split()
            except FileNotFoundError:
                continue
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            if fields["Name"] == "systemd" and fields["NSpid"].split()[-1] == "1":
                return process
        return None

    def run(self, *command, code=0, env=None, timeout=1800):
        """(exit code, what it printed). CODE is the one expected; None takes any."""
        variables = [f"{name}={value}" for name, value in (ENVIRONMENT | (env or {})).items()]
        done = subprocess.run([*self._inside, "env", "-i", *variables, *map(str, command)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout)
        assert code is None or done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}"
        return done.returncode, done.stdout

    def __call__(self, *command, **options):
        return self.run(*command, **options)[1]

    def stop(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)
