"""What scripts/coverage prints: lines and branches reached by the tests, by folder, and functions never called. Exits 1 when one of
those is for others to call.

usage: coverage.py COVERAGE.json (of gcovr)
"""
import collections
import json
import pathlib
import re
import sys


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 and parts[0] in ("ctlsign", "bindings") else parts[0]


def percent(part):
    return f"{100 * part[0] / part[1]:5.1f} % of {part[1]:6}" if part[1] else "      none     "


def public_headers():
    """Those that are installed: what others can include."""
    found = {"bindings/c/ctlsign.h"}
    for path in [*pathlib.Path(".").glob("*/CMakeLists.txt"), *pathlib.Path("bindings").glob("*/CMakeLists.txt")]:
        for names in re.findall(r"\bHEADERS\s+([^)]*)\)", path.read_text(encoding="utf-8")):
            found |= {f"{path.parent}/{name}" for name in names.split()}
    return found


def is_public(file, line, function, headers):
    """Not of the program, nor of one source alone, inside of another function or of a class that one source alone sees, nor made by the
    compiler, nor declared by a header that is not installed. A function of C has no namespace before its name."""
    if file.startswith("cli/") or re.search(r"\(anonymous namespace\)|\{lambda|::Implementation::", function):
        return False
    if "= default;" in pathlib.Path(file).read_text(encoding="utf-8").splitlines()[line - 1]:
        return False
    header = re.sub(r"\.cpp$", ".hpp", file)
    return header in headers or not pathlib.Path(header).exists() or "::" not in function.split("(")[0]


def main():
    lines, branches = (collections.defaultdict(lambda: [0, 0]) for _ in range(2))
    never = []
    headers = public_headers()
    with open(sys.argv[1], encoding="utf-8") as report:
        files = json.load(report)["files"]
    for file in files:
        for folder in (folder_of(file["file"]), "all"):
            for line in file["lines"]:
                if line.get("gcovr/noncode"):
                    continue
                lines[folder][0] += line["count"] > 0
                lines[folder][1] += 1
                for branch in line["branches"]:
                    branches[folder][0] += branch["count"] > 0
                    branches[folder][1] += 1
        # A template is called when one of its instances is.
        called = {each["lineno"] for each in file["functions"] if each["execution_count"] > 0}
        never += [(file["file"], each["lineno"], each["name"]) for each in file["functions"] if each["lineno"] not in called]
    for folder in sorted(lines, key=lambda name: (name == "all", name)):
        print(f"{folder:20} lines {percent(lines[folder])}, branches {percent(branches[folder])}")
    public = [each for each in never if is_public(*each, headers)]
    for kind, found in (("public", public), ("other", [each for each in never if each not in public])):
        print(f"{len(found)} {kind} functions were never called" + (":" if found else ""))
        for path, line, name in sorted(found):
            print(f"  {path}:{line}: {name}")
    sys.exit(1 if public else 0)


main()
