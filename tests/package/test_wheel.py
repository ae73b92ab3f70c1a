"""The Python package built by pip from pyproject.toml, offline, and used by somebody who has only that. The extension is
that of the build tree (CTLSIGN_BUILD); without one it is built from nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "tests" / "data" / "krakow" / "CTLFile-tokens.tlv"


def test_pip_installs_it_offline(tmp_path):
    sources = tmp_path / "checkout"  # pip leaves its traces beside pyproject.toml
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(".git", "build*", "tests"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-index", "--no-deps",
                           "--target", tmp_path / "site", sources / "bindings" / "python"],
                          env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    installed = [path.name for path in (tmp_path / "site" / "ctlsign").iterdir() if path.is_file()]
    assert {name.partition(".")[0] for name in installed} == {"__init__", "enums", "errors", "_ctlsign", "py"}
    assert "_ctlsign.pyi" in installed and "py.typed" in installed
    shown = subprocess.run([sys.executable, "-c", "import ctlsign, pathlib, sys;"
                            "print(ctlsign.show(ctlsign.decode(pathlib.Path(sys.argv[1]).read_bytes())))", LIST],
                           env=environment | {"PYTHONPATH": str(tmp_path / "site")}, cwd=tmp_path,
                           capture_output=True, text=True, check=True).stdout
    assert "was verified successfully" in shown
