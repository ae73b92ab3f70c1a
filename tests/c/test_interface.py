"""The header of the C interface: what compiles it, that the library exports it and nothing else, and that its tests miss nothing."""

import os
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BINDING = HERE.parent.parent / "bindings/c"
HEADER = BINDING / "ctlsign.h"
# They cannot fail, and have nothing to get wrong.
WITHOUT_STATUS = {"ctlsign_version", "ctlsign_status_name", "ctlsign_condition_name", "ctlsign_open_handles",
                  "ctlsign_bytes_free"}


def declared():
    return set(re.findall(r"^CTLSIGN_API [^;(]*?(ctlsign_\w+)\(", HEADER.read_text(), re.MULTILINE))


def calls(*files):
    text = "".join(path.read_text() for path in files)
    return set(re.findall(r"\b(ctlsign_\w+)\(", text)), set(re.findall(r"\bPROBE\((ctlsign_\w+)", text))


def test_the_header_has_what_this_test_looks_for():
    assert len(declared()) > 40
    assert WITHOUT_STATUS < declared()


@pytest.mark.parametrize("command", [
    ["cc", "-std=c99", "-xc"], ["cc", "-std=c17", "-xc"], ["clang", "-std=c99", "-Weverything", "-xc"],
    ["c++", "-std=c++11", "-xc++"], ["c++", "-std=c++20", "-xc++"]])
def test_the_header_compiles_alone(command, tmp_path):
    source = tmp_path / "alone"
    source.write_text("#include <ctlsign/ctlsign.h>\nint main(void) { return ctlsign_version() == 0; }\n")
    include = Path(os.environ["CTLSIGN_BUILD"]) / "include"
    subprocess.run([*command, "-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{include}", "-fsyntax-only", source],
                   check=True)


def test_the_library_exports_the_header_and_nothing_else():
    exported = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions",
                               os.environ["CTLSIGN_C_LIBRARY"]], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1] for line in exported.splitlines()}
    if os.environ["CTLSIGN_INSTRUMENTED"] == "1":
        names = {name for name in names if "@" in name or name.startswith("CTLSIGN_")}
    assert names == {f"{name}@@CTLSIGN_1.0" for name in declared()} | {"CTLSIGN_1.0"}


def test_every_function_is_called_by_tests():
    good, _ = calls(*(HERE / name for name in ("list_test.cpp", "signer_test.cpp", "tokens_test.cpp", "c_interface.hpp")))
    _, probed = calls(HERE / "arguments_test.cpp")
    assert not declared() - good, "not called with good arguments"
    assert declared() - WITHOUT_STATUS - {"ctlsign_close"} == probed, "not called with null and wrong arguments"


def test_the_example_fits_on_a_screen():
    assert len((BINDING / "examples/sign_ctl.c").read_text().splitlines()) <= 45
