"""A Debian of the test's own, with systemd running in it: what is done there stays there. See own_root."""

import os
import subprocess
import time
from pathlib import Path

START = Path(__file__).resolve().parent / "own_root"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


class Root:
    """BASE is the folder of a Debian; / is this machine's. OPTIONS are those of own_root."""

    def __init__(self, folder, base="/", *options):
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        self.given = folder / "given"  # /mnt inside
        self._log = open(folder / "log", "w+")
        self._process = subprocess.Popen([*as_root, START, folder, base, *options], stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while (init := self._init()) is None or self.run("systemctl", "is-system-running", code=None)[0] != 0:
            assert self._process.poll() is None and time.monotonic() < deadline, self._told()
            time.sleep(0.05)
        assert init

    def _told(self):
        self._log.seek(0)
        return self._log.read()

    def _init(self):
        """The process that is number one inside, by its number here."""
        found = [str(self._process.pid)]
        for pid in found:
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                found += Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except FileNotFoundError:
                continue
            name, numbers = status.split("\n", 1)[0], next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
            if len(numbers) > 2 and numbers[-1] == "1" and name == "Name:\tsystemd":
                return pid
        return None

    def run(self, *command, code=0, env=None, **options):
        """(exit code, what it printed). CODE is the one expected; None takes any."""
        init = self._init()
        if init is None:
            return 255, "it has not started"
        inside = ["nsenter", "-t", init, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wdns=/", "env", "-i",
                  *(f"{name}={value}" for name, value in (ENVIRONMENT | (env or {})).items()), *map(str, command)]
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        done = subprocess.run([*as_root, *inside], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=1800, **options)
        assert code is None or done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}"
        return done.returncode, done.stdout

    def __call__(self, *command, **options):
        return self.run(*command, **options)[1]

    def stop(self):
        self._process.terminate()
        self._process.wait(timeout=60)
        self._log.close()
