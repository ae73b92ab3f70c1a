"""What a run costs: memory, and nothing loaded that is not needed. Not for instrumented builds, which need more."""

import os
import shutil
import subprocess

from conftest import KRAKOW, OPEN_TOOLS, PROGRAM

SIGNER = OPEN_TOOLS / "asterisk.pem"


def peak(*arguments, program=PROGRAM):
    """The largest memory of a run, in KiB."""
    script = "import resource,subprocess,sys; subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL);" \
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(["/usr/bin/python3", "-c", script, program, *arguments], capture_output=True, check=True)
    return int(done.stdout)


def test_showing_takes_less_than_12_mib(tmp_path):
    # A copy that is not in memory yet: of one that is, the kernel maps what the program never asked for, too.
    program = shutil.copy(PROGRAM, tmp_path)
    descriptor = os.open(program, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    assert peak("show", KRAKOW / "CTLFile-tokens.tlv", program=program) < 12 * 1024


def test_showing_loads_no_module():
    opened = subprocess.run(["strace", "-f", "-e", "trace=openat", PROGRAM, "show", KRAKOW / "CTLFile-tokens.tlv"],
                            capture_output=True, check=True).stderr.decode()
    assert "softhsm" not in opened and "/pkcs11/" not in opened and ".module" not in opened


def test_memory_is_flat_over_a_thousand_files(tmp_path, thousand):
    files = sorted(thousand.iterdir())
    sign = ["config", "sign", "--signer", SIGNER, "--jobs", "2"]
    few = peak(*sign, "-d", tmp_path / "few", *files[:50])
    many = peak(*sign, "-d", tmp_path / "many", *files)
    assert many < few + 2048, f"{few} KiB for 50 files, {many} KiB for 1000"
