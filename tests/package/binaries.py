"""What is built into binaries against the faults that tests did not find. Read with readelf."""

import os
import re
import subprocess

# Too small to copy anything: no function of glibc in it has a variant that checks sizes.
NOTHING_TO_FORTIFY = ("libctlsign-forward.so",)


def binaries(top, without=()):
    """Programs, libraries and modules below TOP; no objects."""
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in without]
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            with open(path, "rb") as file:
                head = file.read(18)
            if head[:4] == b"\x7fELF" and int.from_bytes(head[16:18], "little") in (2, 3):  # ET_EXEC, ET_DYN
                yield path


def readelf(path, *what):
    return subprocess.run(["readelf", "-W", *what, path], check=True, capture_output=True, text=True).stdout


def weaknesses_of_the_link(path):
    """What the linker was not told, as a list of words."""
    shown = readelf(path, "-h", "-l", "-d")
    flags = " ".join(re.findall(r"\(FLAGS(?:_1)?\)\s+(.*)", shown))
    stack = re.search(r"GNU_STACK.*?\s(R\S*)\s", shown)
    found = {
        "not position independent": "Type:                              DYN" not in shown or
                                    ("INTERP" in shown and "PIE" not in flags and ".so" not in os.path.basename(path)),
        "no RELRO": "GNU_RELRO" not in shown,
        "bound late": "NOW" not in flags,
        "executable stack": stack is None or "E" in stack[1],
        "writable code": "TEXTREL" in shown or " RWE " in shown,
    }
    return [word for word, is_so in found.items() if is_so]


def weaknesses_of_an_installed(path):
    """The same, with what only shows in the functions that are called, and where libraries are looked for."""
    found = weaknesses_of_the_link(path)
    if re.search(r"\((RPATH|RUNPATH)\)", readelf(path, "-d")):
        found.append("looks for libraries of its own")
    called = readelf(path, "--dyn-syms")
    if "__stack_chk_fail@" not in called:
        found.append("no stack protector")
    if not re.search(r"__\w+_chk@", called) and os.path.basename(path) not in NOTHING_TO_FORTIFY:
        found.append("not fortified")
    return found
