#!/usr/bin/python3
"""Every file and stream is read with a limit that has a name, docs/limits.md has each of these as it is, and an option that sets one
says no number of its own.

usage: limits.py SOURCE_FOLDER
"""
import pathlib
import re
import sys

HEADERS = ("pkcs11/limits.hpp", "sast/limits.hpp", "ctlsign/limits.hpp", "softhsm-profiles/limits.hpp")
LIMIT = re.compile(r"inline constexpr (std::\S+) k(\w+)(?: = (.*?)|\{(\d+)\});\s+///< (.*)")
# What reads, and the words by which its last argument is known to be a limit.
READS = re.compile(r"\b(?:load_file|read_file|load_descriptor|read_descriptor|session_\.load)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
NAMED = re.compile(r"(?:limits::k\w+|kMaxFileSize|\blimit)\)$")


OPTION = re.compile(r"\((--[\w-]+)\)$")


def numbers_of(option, source):
    """The statements of SOURCE that give OPTION a default in digits."""
    for statement in re.findall(rf'"{option}"[^;]*;', source):
        variable = re.search(r"options->(?:\w+\.)*(\w+)", statement)
        if re.search(r"default \d", statement) or variable and re.search(rf"\b{variable[1]} = \d", source):
            yield statement


def text(kind, expression, seconds):
    if seconds:
        return f"{seconds} s"
    number = eval(expression.replace("'", "").replace("U", ""))  # of our own headers
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if "<<" in expression and number % size == 0:
            return f"{number // size} {unit}"
    return f"{number:,}"


def complaints(root):
    limits = [match.groups() for header in HEADERS for match in LIMIT.finditer((root / header).read_text())]
    table = [f"| {what} | {text(kind, expression, seconds)} | `k{name}` |" for kind, name, expression, seconds, what in limits]
    documented = [line for line in (root / "docs/limits.md").read_text().splitlines() if "`k" in line]
    if len(limits) < 15:
        yield f"only {len(limits)} limits found"
    if table != documented:
        yield "docs/limits.md should have:\n" + "\n".join(table)
    for option in (match[1] for *_, what in limits if (match := OPTION.search(what))):
        said = [(path, path.read_text()) for path in sorted((root / "cli").glob("*.cpp")) if f'"{option}"' in path.read_text()]
        if not said:
            yield f"{option}: no command has it"
        for path, source in said:
            for statement in numbers_of(option, source):
                yield f"{path.relative_to(root)}: {statement} has a number of its own"
    for floor in ("pkcs11", "sast", "ctlsign", "cli", "softhsm-profiles", "bindings"):
        for path in sorted((root / floor).rglob("*.cpp")):
            for match in READS.finditer(path.read_text()):
                if not NAMED.search(match[0]):
                    yield f"{path.relative_to(root)}: {match[0]} has no limit with a name"


def main():
    found = list(complaints(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "every limit has its name")
    sys.exit(1 if found else 0)


main()
