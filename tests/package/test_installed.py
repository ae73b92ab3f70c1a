"""The project installed into a folder of its own, and used from there by somebody who has only that."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=280, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed") / "prefix"
    run("cmake", "--install", os.environ["CTLSIGN_BUILD"], "--prefix", folder)
    return folder


def test_googletest_header(prefix, tmp_path):
    for name in ("CMakeLists.txt", "outsider_test.cpp"):
        shutil.copy(HERE / "outsider" / name, tmp_path)
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path / "build")
    assert "100% tests passed, 0 tests failed out of 1" in run("ctest", "--test-dir", tmp_path / "build")


def test_pytest_plugin(prefix, tmp_path):
    shutil.copy(HERE / "outsider" / "outsider_test.py", tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CTLSIGN_")} | {
        "PATH": f"{prefix}/bin:{os.environ['PATH']}", "PYTHONPATH": f"{prefix}/share/ctlsign/pytest",
        "PYTHONDONTWRITEBYTECODE": "1"}
    out = run("/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "outsider_test.py",
              env=environment, cwd=tmp_path)
    assert "1 passed" in out
