"""What scripts/bench and scripts/coverage print, and when they fail."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]
BENCH = SOURCE / "tests/bench"
sys.path.insert(0, str(BENCH))
from rows import Table, at_least, at_most, reasons  # noqa: E402

DOCUMENT = "# How fast\n\n* **a**: not here\n\n## Why an aim is missed\n\n* **b: the second**: it is slow\n* **c**:\n\n## More\n\n* **d**: nor here\n"


def test_reasons_stand_below_their_heading():
    assert reasons(DOCUMENT) == {"b: the second"}
    assert reasons("# How fast\n") == set()


@pytest.mark.parametrize("aim, value, met", [(at_least(0.9), 0.9, True), (at_least(0.9), 0.89, False), (at_most(5, " ms"), 5, True),
                                             (at_most(5, " ms"), 5.1, False)])
def test_aims(capsys, aim, value, met):
    table = Table(set())
    table.row("a", value, " ms", aim, "b")
    assert ("| met |" in capsys.readouterr().out) is met
    assert table.unexplained == ([] if met else ["a"])


def test_a_missed_aim_needs_a_reason(capsys):
    table = Table(reasons(DOCUMENT))
    table.head()
    table.row("b: the second", 2, " s", at_most(1, " s"), "beside")
    table.row("without an aim", 2.345)
    assert not table.unexplained
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == ["| b: the second | 2.00 s | beside | at most 1 s | **missed** ([why](#why-an-aim-is-missed)) |",
                         "| without an aim | 2.35 |  |  |  |"]
    table.row("c", 2, " s", at_most(1, " s"))
    assert table.unexplained == ["c"]


def test_what_measures_can_be_started():
    """What it takes from the tests of clusters is still there."""
    subprocess.run([sys.executable, "-c", "import sys; sys.argv = ['table.py', '.']; import table; assert table.add_years and table.COUNT"],
                   cwd=BENCH, check=True)


@pytest.mark.parametrize("file, function, code", [
    ("pkcs11/uri.cpp", "ctlsign::pkcs11::Uri::parse(std::string_view)", 1), ("pkcs11/uri.hpp", "ctlsign::pkcs11::f()", 1),
    ("pkcs11/load.cpp", "ctlsign::pkcs11::Uri::load()", 1), ("pkcs11/inner.cpp", "ctlsign_bytes_free", 1),
    ("pkcs11/uri.cpp", "ctlsign::(anonymous namespace)::f()", 0), ("pkcs11/uri.cpp", "ctlsign::Uri::Implementation::f()", 0),
    ("pkcs11/inner.cpp", "ctlsign::pkcs11::inner(int)", 0), ("pkcs11/made.hpp", "ctlsign::pkcs11::Made::operator=(Made&&)", 0),
    ("cli/show.cpp", "ctlsign::cli::f()", 0)])
def test_a_public_function_that_nothing_calls(tmp_path, file, function, code):
    for folder in ("pkcs11", "cli"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pkcs11" / "CMakeLists.txt").write_text("ctlsign_library(a pkcs11\n  SOURCES uri.cpp\n  HEADERS made.hpp\n    uri.hpp)\n")
    for name in ("pkcs11/uri.hpp", "pkcs11/uri.cpp", "pkcs11/load.cpp", "pkcs11/inner.hpp", "pkcs11/inner.cpp", "cli/show.cpp"):
        (tmp_path / name).write_text("\n" * 9)
    (tmp_path / "pkcs11" / "made.hpp").write_text("    Made& operator=(Made&&) noexcept = default;\n" * 9)

    def say(*counts):
        functions = [{"name": f"{function}{number or ''}", "lineno": 7, "execution_count": count} for number, count in enumerate(counts)]
        lines = [{"count": counts[0], "branches": [{"count": 1}]}]
        (tmp_path / "coverage.json").write_text(json.dumps({"files": [{"file": file, "lines": lines, "functions": functions}]}))
        return subprocess.run([sys.executable, SOURCE / "scripts/coverage.py", "coverage.json"], cwd=tmp_path, capture_output=True,
                              text=True, check=False)

    never, once, instance = say(0), say(1), say(0, 1)
    assert (never.returncode, once.returncode, instance.returncode) == (code, 0, 0), never.stderr
    assert f"{file}:7: {function}" in never.stdout and function not in once.stdout + instance.stdout
