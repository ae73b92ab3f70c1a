"""The project installed into a folder of its own, and used from there by somebody who has only that."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
GOLDEN = SOURCE / "tests/data/krakow/CTLFile-tokens.tlv"


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=800, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed") / "prefix"
    run("cmake", "--install", os.environ["CTLSIGN_BUILD"], "--prefix", folder)
    return folder


@pytest.fixture(scope="module")
def shared_prefix(tmp_path_factory):
    """The same with every library shared. Built beside, and kept, so that only the first run takes long."""
    build = Path(os.environ["CTLSIGN_BUILD"]) / "shared"
    run("cmake", "-S", SOURCE, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DBUILD_SHARED_LIBS=ON", "-DCMAKE_UNITY_BUILD=ON",
        "-DCTLSIGN_PROGRAM=OFF", "-DCTLSIGN_PYTHON_BINDING=OFF", "-DCTLSIGN_TESTS=OFF", "-DCTLSIGN_BENCH=OFF",
        f"-DCMAKE_CXX_COMPILER_LAUNCHER={shutil.which('ccache') or ''}")
    run("cmake", "--build", build)
    folder = tmp_path_factory.mktemp("shared") / "prefix"
    run("cmake", "--install", build, "--prefix", folder)
    return folder


@pytest.fixture(params=["static", "shared"])
def moved(request, tmp_path):
    """An installation that somebody has moved, and whether its libraries are shared."""
    shared = request.param == "shared"
    made = request.getfixturevalue("shared_prefix" if shared else "prefix")
    folder = tmp_path / "moved here"
    shutil.copytree(made, folder, symlinks=True)
    libraries = list(folder.glob("lib*/**/libctlsign.*"))
    assert libraries and all((".so" in library.name) == shared for library in libraries)
    return folder, shared


def verdict_of(program):
    # Nothing but the program says where its libraries are.
    return run(program, GOLDEN, env={"PATH": os.environ["PATH"]}).strip()


@pytest.mark.parametrize("language", ["c", "cxx"])
def test_find_package(moved, tmp_path, language):
    prefix, _ = moved
    build = tmp_path / "build"
    run("cmake", "-S", HERE / "consumer", "-B", build, "-G", "Ninja", f"-DCONSUMER={language}", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    assert verdict_of(build / "consumer") == "signature-fits"


@pytest.mark.parametrize("language", ["c", "cxx"])
def test_pkg_config(moved, tmp_path, language):
    prefix, shared = moved
    folder, = prefix.glob("lib*/**/pkgconfig")
    name = "ctlsign-c" if language == "c" else "ctlsign"
    static = ["--static"] if language == "cxx" and not shared else []
    flags = run("pkg-config", *static, "--cflags", "--libs", name, env=os.environ | {"PKG_CONFIG_PATH": str(folder)})
    compiler, source = ("cc", "consumer.c") if language == "c" else ("c++", "consumer.cpp")
    program = tmp_path / "consumer"
    run(compiler, HERE / "consumer" / source, "-o", program, *shlex.split(flags), f"-Wl,-rpath,{folder.parent}")
    assert verdict_of(program) == "signature-fits"


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
