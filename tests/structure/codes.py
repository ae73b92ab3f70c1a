#!/usr/bin/python3
"""Fails on an error code that no test names: as Errc::Name, or as Python and C write it.

usage: codes.py SOURCE_FOLDER
"""
import pathlib
import re
import sys

HEADERS = ("pkcs11/error.hpp", "sast/error.hpp", "ctlsign/error.hpp", "softhsm-profiles/error.hpp")


def codes(header):
    body = re.search(r"enum class Errc \{(.*?)\n\};", header.read_text(), re.S)[1]
    return re.findall(r"^    ([A-Z]\w+)", body, re.M)


def main():
    root = pathlib.Path(sys.argv[1])
    tests = "\n".join(path.read_text() for path in sorted((root / "tests").rglob("*"))
                      if path.suffix in (".cpp", ".hpp", ".c", ".py") and path.name != "test_package.py")
    missing = []
    for header in HEADERS:
        for code in codes(root / header):
            other = re.sub(r"(?<!^)(?=[A-Z])", "_", code).upper()
            if not re.search(rf"\bErrc::{code}\b|\b\w+\.{other}\b", tests):
                missing.append(f"{header}: {code}")
    print("\n".join(missing) or "every error code is named by a test")
    sys.exit(bool(missing))


main()
