"""Every binary that is built and every one that is installed, and every call of the compiler."""

import json
import os
import shlex
import subprocess
from pathlib import Path

from binaries import binaries, weaknesses_of_an_installed, weaknesses_of_the_link

BUILD = Path(os.environ["CTLSIGN_BUILD"])
SHIPPED = {"ctlsign", "ctlsign-virtual-token", "libctlsign-virtual-token.so", "libctlsign-forward.so"}


def test_every_source_is_compiled_with_them():
    wanted = {"-fstack-protector-strong", "-fstack-clash-protection", "-D_FORTIFY_SOURCE=2"}
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    assert len(commands) > 100
    for command in commands:
        if "_verify_interface_header_sets/" in command["file"]:
            continue  # compiled to see that it compiles
        flags = set(shlex.split(command["command"]))
        assert wanted <= flags and flags & {"-fPIC", "-fPIE"} and flags & {"-O1", "-O2", "-O3"}, command["file"]


def test_every_binary_is_linked_with_them():
    # shared: what package.installed builds, linked the same way.
    built = list(binaries(BUILD, without=("CMakeFiles",)))
    assert {os.path.basename(path) for path in built} >= SHIPPED
    assert {path: found for path in built if (found := weaknesses_of_the_link(path))} == {}


def test_what_is_installed(tmp_path):
    subprocess.run(["cmake", "--install", BUILD, "--prefix", tmp_path], check=True, capture_output=True)
    installed = list(binaries(tmp_path))
    assert {os.path.basename(path) for path in installed} >= SHIPPED
    assert {path: found for path in installed if (found := weaknesses_of_an_installed(path))} == {}
