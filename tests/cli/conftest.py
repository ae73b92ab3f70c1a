"""The program under test, and the vectors. CTest says where the program is (CTLSIGN_PROGRAM)."""

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = os.environ["CTLSIGN_PROGRAM"]
DATA = Path(__file__).resolve().parent.parent / "data"
KRAKOW, OPEN_TOOLS = DATA / "krakow", DATA / "open-tools"
LISTS = sorted(KRAKOW.glob("*.tlv")) + sorted(OPEN_TOOLS.glob("*.tlv"))
SOFTHSM = next(path for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
               if os.path.exists(path))
# What a person's shell may hold, and a test must not depend on.
STRANGERS = ("SOURCE_DATE_EPOCH", "NO_COLOR", "SOFTHSM2_CONF", "TZ", "CTLSIGN_VIRTUAL_TOKENS", "CTLSIGN_QUIRKS", "CTLSIGN_MODULE",
             "CTLSIGN_SOFTHSM2_MODULE")


class Result:
    def __init__(self, done):
        self.code, self.bytes = done.returncode, done.stdout
        self.out, self.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def __repr__(self):
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


@pytest.fixture(autouse=True)
def state(tmp_path_factory, monkeypatch):
    """A home for the program's state: what is remembered of tokens is this test's alone."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture
def ctlsign(tmp_path, state):
    """Runs the program in the test's folder. expect is the exit code; an error is one line on standard error, and of many
    files at once there are as many errors as files that fail."""

    def run(*arguments, expect=0, errors=1, stdin=None, env=None, timeout=120, **options):
        environment = {k: v for k, v in os.environ.items() if k not in STRANGERS} | (env or {})
        done = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, check=False,
                              cwd=tmp_path, env=environment, timeout=timeout, **options)
        result = Result(done)
        assert result.code == expect, result
        if expect > 1:
            assert sum(line.startswith("ctlsign: error: ") for line in result.err.splitlines()) == errors, result
        return result

    return run


@pytest.fixture
def thousand(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(1000):
        (folder / f"SEP{number:012}.cnf.xml").write_text(f"<device>{number}</device>\n" * 50)
    return folder
