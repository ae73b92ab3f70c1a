"""A PIN stands in no output, no command line and no core file, wherever it came from."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM
from test_token import PIN, provisioned, tokens  # noqa: F401  (fixtures)


def core_at_first_signature(tmp_path, environment, arguments, **options):
    """The core file of the program at its first C_SignInit: logged in, PIN held."""
    core = tmp_path / "core"
    subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", "set breakpoint pending on", "-ex", "set startup-with-shell off",
                    "-ex", "break C_SignInit", "-ex", "run", "-ex", f"gcore {core}", "-ex", "kill",
                    "--args", PROGRAM, *arguments],
                   cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=120, **options)
    return core.read_bytes()


@pytest.mark.parametrize("source", ["file", "env", "fd"])
def test_core_file(provisioned, tmp_path, source):  # noqa: F811
    (tmp_path / "pin").write_text(PIN + "\n")
    environment = os.environ | {"SOFTHSM2_CONF": f"{tmp_path}/softhsm2.conf",
                                "CTLSIGN_MODULE": provisioned.module}
    options = {}
    if source == "env":
        environment["THE_PIN"] = PIN
        argument = "env:THE_PIN"
    elif source == "fd":
        reader, writer = os.pipe()
        os.write(writer, PIN.encode() + b"\n")
        os.close(writer)
        options["pass_fds"] = [reader]
        argument = f"fd:{reader}"
    else:
        argument = "file:pin"
    core = core_at_first_signature(tmp_path, environment, ["token", "rehearse", "A", "--pin-source", argument], **options)
    assert b"--pin-source" in core, "the core file holds the stack and the heap, so it would hold a PIN"
    assert PIN.encode() not in core


def test_command_line_and_output(provisioned, tmp_path):  # noqa: F811
    (tmp_path / "pin").write_text(PIN + "\n")
    log = tmp_path / "trace"
    environment = os.environ | {"SOFTHSM2_CONF": f"{tmp_path}/softhsm2.conf", "CTLSIGN_MODULE": provisioned.module}
    done = subprocess.run(["strace", "-f", "-s", "4096", "-e", "trace=execve,write,writev,sendto,sendmsg,openat", "-o", log, PROGRAM,
                           "token", "rehearse", "A", "--pin-source", "file:pin", "--json"],
                          cwd=tmp_path, env=environment, capture_output=True, check=True)
    traced = Path(log).read_text()
    assert "execve(" in traced and "write(1" in traced
    for text in (traced, done.stdout.decode(), done.stderr.decode()):
        assert PIN not in text
