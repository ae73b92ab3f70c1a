#!/usr/bin/python3
"""Fails on a test of pytest that no entry of CTest runs, nor scripts/test --all by the name of its file.

usage: entries.py SOURCE_FOLDER CTEST BUILD_FOLDER
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile


def entries(ctest, build):
    """What CTest has pytest run: (file, test, words), TEST empty for a whole file, without the tests that have one of the words."""
    # In a folder of its own: it would begin the log anew of a CTest that runs this.
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "CTestTestfile.cmake").write_text(f'subdirs("{build}")\n')
        shown = subprocess.run([ctest, "--test-dir", folder, "--show-only=json-v1"], check=True, capture_output=True, text=True).stdout
    for entry in json.loads(shown)["tests"]:
        command = entry.get("command", [])
        if "pytest" not in command:
            continue
        left_out = command[command.index("-k") + 1] if "-k" in command else ""
        if left_out and not re.fullmatch(r"not \w+( and not \w+)*", left_out):
            sys.exit(f"{entry['name']}: -k '{left_out}' cannot be read")
        for word in command:
            if match := re.fullmatch(r"(/.*\.py)(?:::(\w+)(?:\[.*\])?)?", word):
                yield pathlib.Path(match[1]), match[2] or "", re.findall(r"not (\w+)", left_out)


# What scripts/test runs with an option of its own: as long as the rest together.
BY_HAND = {"tests/package/test_bare_suite.py"}


def missing(root, found):
    script = (root / "scripts/test").read_text()
    in_all = re.search(r"^long_package_tests\(\) \{\n(.*?)^\}", script, re.M | re.S)[1]
    named, long = (set(re.findall(r"tests/[\w/]+\.py", text)) for text in (script, in_all))
    for name in sorted((named - long) ^ BY_HAND):
        yield f"{name}: is it run by scripts/test --all, or by hand?"
    by_name = {root / name for name in long | BY_HAND}
    for path in sorted((root / "tests").rglob("test_*.py")):
        if path in by_name:
            continue
        mine = [(one, words) for file, one, words in found if file == path]
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M):
            if not any(one == name or not one and not any(word in name for word in words) for one, words in mine):
                yield f"{path.relative_to(root)}: {name} is run by no entry"


def main():
    root, ctest, build = sys.argv[1:]
    found = list(entries(ctest, build))
    complaints = list(missing(pathlib.Path(root), found))
    if len({file for file, _, _ in found}) < 20:
        complaints.append(f"only {len(found)} entries of pytest found")
    print("\n".join(complaints) or f"every test of pytest is run; by hand: {', '.join(sorted(BY_HAND))}")
    sys.exit(1 if complaints else 0)


main()
