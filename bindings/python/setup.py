"""Has CMake build the extension; everything else is in pyproject.toml.

With CTLSIGN_BUILD it is taken out of a build tree that is there already, instead of one of its own.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parents[2]


class BuildWithCMake(build_ext):
    def build_extension(self, ext):
        tree = Path(os.environ.get("CTLSIGN_BUILD") or self.build_temp).resolve()
        if not os.environ.get("CTLSIGN_BUILD"):
            subprocess.run(["cmake", "-S", ROOT, "-B", tree, f"-DPython3_EXECUTABLE={sys.executable}",
                            "-DCMAKE_BUILD_TYPE=Release", "-DCTLSIGN_TESTS=OFF", "-DCTLSIGN_BENCH=OFF",
                            "-DCMAKE_UNITY_BUILD=ON", "-DCTLSIGN_PYTHON_BINDING=ON"], check=True)
        jobs = str(self.parallel or os.cpu_count())
        subprocess.run(["cmake", "--build", tree, "--target", "ctlsign_python", "--parallel", jobs], check=True)
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / "python" / "ctlsign" / target.name, target)


setup(
    version=re.search(r"project\(ctlsign VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1],
    ext_modules=[Extension("ctlsign._ctlsign", sources=[])],
    cmdclass={"build_ext": BuildWithCMake},
)
