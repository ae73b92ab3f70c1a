"""What scripts/coverage prints: lines and branches reached by the tests, by folder, and functions never called.

usage: coverage.py COVERAGE.json (of gcovr)
"""
import collections
import json
import sys


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 and parts[0] in ("ctlsign", "bindings") else parts[0]


def percent(part):
    return f"{100 * part[0] / part[1]:5.1f} % of {part[1]:6}" if part[1] else "      none     "


def main():
    lines, branches = (collections.defaultdict(lambda: [0, 0]) for _ in range(2))
    never = []
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
        never += [f"{file['file']}:{each['lineno']}: {each['name']}" for each in file.get("functions", [])
                  if each["execution_count"] == 0 and file["file"].endswith(".cpp")]
    for folder in sorted(lines, key=lambda name: (name == "all", name)):
        print(f"{folder:20} lines {percent(lines[folder])}, branches {percent(branches[folder])}")
    print(f"{len(never)} functions were never called" + (":" if never else ""))
    for name in sorted(never):
        print(f"  {name}")


main()
