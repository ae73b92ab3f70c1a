"""A pytest plugin: virtual PKCS#11 tokens that a test can plug, pull and break.

In a conftest.py:      pytest_plugins = ["ctlsign_virtual_token"]
In a test:             def test_signing(virtual_tokens):
                           token = virtual_tokens.create("etoken-5110")
                           subprocess.run(["pkcs11-tool", "--module", virtual_tokens.module, ...])
                           token.unplug()

Runs ctlsign-virtual-token, or `$CTLSIGN_PROGRAM virtual` where that names ctlsign. Needs Python 3.9, pytest, and nothing else.
"""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest


class VirtualToken:
    """One token of a VirtualTokens folder. label and serial are what CK_TOKEN_INFO says."""

    def __init__(self, tokens, described):
        self._tokens = tokens
        self.name, self.label, self.serial = described["name"], described["label"], described["serial"]
        self.pin_file = Path(described["pin-file"])
        self.certificate_file = Path(described["certificate-file"])

    @property
    def pin(self):
        return self.pin_file.read_text()

    @property
    def tries_left(self):
        """PIN tries that are left; None as long as the token has not been logged in to."""
        file = self.pin_file.parent / "pin-tries"
        return int(file.read_text()) if file.exists() and file.stat().st_size else None

    def plug(self, reader=None):
        self._tokens.run("plug", self.name, *([] if reader is None else ["--reader", reader]))

    def unplug(self):
        self._tokens.run("unplug", self.name)


class VirtualTokens:
    """A folder of virtual tokens, empty at first, and the environment that shows them to a program."""

    def __init__(self, folder):
        self.folder = Path(folder)
        program = os.environ.get("CTLSIGN_PROGRAM")
        self._command = [program, "virtual"] if program else ["ctlsign-virtual-token"]
        self._variables = {"CTLSIGN_VIRTUAL_TOKENS": str(folder)}
        self._variables = json.loads(self.run("env", "--json"))
        self.module = self._variables["CTLSIGN_MODULE"]

    @property
    def environment(self):
        """For subprocess: the environment of now with the variables of the folder."""
        return os.environ | self._variables

    def run(self, *arguments):
        """`ctlsign-virtual-token ARGUMENTS`; returns its output and raises CalledProcessError with its message."""
        command = [*self._command, *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        return done.stdout

    def create(self, profile, name=None, key=None, certificate=None):
        """Makes a token and plugs it in. PROFILE: the name of a shipped one, or a file."""
        name = name or f"virtual-{len(list(self.folder.glob('tokens/*'))) + 1}"
        options = [f"--{option}={value}" for option, value in (("key", key), ("certificate", certificate)) if value]
        return VirtualToken(self, json.loads(self.run("create", name, "--profile", profile, *options, "--json")))

    def fault(self, line):
        """Adds a line to the fault script, "on C_Sign #3 return CKR_DEVICE_ERROR"."""
        self.run("fault", line)

    def log(self):
        """Has programs that start from now on write down their calls, and returns the file."""
        file = self.folder / "log"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        file.touch(mode=0o600)
        return file

    def wait_until(self, condition, seconds=60):
        """Waits until CONDITION() is true, and fails the test when it is not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)


@pytest.fixture
def virtual_tokens(tmp_path, monkeypatch):
    """Virtual tokens of this test alone; a library in this process sees them too."""
    tokens = VirtualTokens(tmp_path / "virtual-tokens")
    for name, value in tokens.environment.items():
        if name.startswith("CTLSIGN_"):
            monkeypatch.setenv(name, value)
    return tokens
