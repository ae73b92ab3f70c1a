#!/usr/bin/python3
"""Reads every include of the sources and fails on one that climbs the tower, or that a floor may not have.

usage: includes.py SOURCE_FOLDER
"""
import pathlib
import re
import sys
import xml.etree.ElementTree

# What each floor may include of ours.
FLOORS = {
    "pkcs11": {"pkcs11"},
    "sast": {"pkcs11", "sast"},
    "ctlsign": {"pkcs11", "sast", "ctlsign"},
    "softhsm-profiles": {"pkcs11", "sast", "softhsm-profiles"},
    "bindings": {"pkcs11", "sast", "ctlsign", "bindings"},
    "cli": {"pkcs11", "sast", "ctlsign", "bindings", "softhsm-profiles", "cli"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')

# The PKCS#11 C header: in sources of pkcs11/ through its private headers, and in modules that speak PKCS#11 themselves.
CRYPTOKI_ALLOWED = re.compile(r"^(pkcs11/(cryptoki|mutex|served_module)\.hpp|bindings/openssl/forward_module\.cpp|softhsm-profiles/.*)$")
PRIVATE = {"pkcs11/cryptoki.hpp", "pkcs11/module_call.hpp", "pkcs11/mutex.hpp", "pkcs11/served_module.hpp"}
PURE = re.compile(r"^ctlsign/(trustlist|phone)/")
IMPURE = {"fstream", "filesystem", "cstdio", "ctime", "unistd.h", "fcntl.h", "sys/socket.h", "time.h"}
IMPURE_CALL = re.compile(r"\b(getenv|secure_getenv|system_clock::now|steady_clock::now|open|fopen)\s*\(")
TERMINAL = {"iostream", "spdlog/spdlog.h"}


# What has a box of its own in docs/architecture.svg: a folder, and what is in it.
PICTURE = "docs/architecture.svg"


def part_of(name):
    """The box of a file, or of what an include names."""
    folders = name.split("/")[:-1]
    if folders in (["ctlsign"], ["ctlsign", "trustlist"]):
        return "ctlsign/trustlist"
    if folders[:1] in (["ctlsign"], ["bindings"]) or folders[:2] == ["softhsm-profiles", "module"]:
        return "/".join(folders[:2])
    return folders[0]


def lies(root):
    """What the picture shows and is not so: a part stands above all that it includes."""
    svg = "{http://www.w3.org/2000/svg}"
    picture = xml.etree.ElementTree.parse(root / PICTURE)
    height = {group.get("data-part"): -int(group.find(f"{svg}rect").get("y")) for group in picture.iter(f"{svg}g")}
    includes = set()
    for floor in FLOORS:
        for path in (root / floor).rglob("*.?pp"):
            name = path.relative_to(root).as_posix()
            if "/examples/" in name:
                continue
            targets = [match.group(1) for match in map(INCLUDE.match, path.read_text().splitlines()) if match]
            includes |= {(part_of(name), part_of(target)) for target in targets if target.split("/")[0] in FLOORS}
    parts = {part for pair in includes for part in pair}
    for part in parts ^ set(height):
        yield f"{PICTURE}: {part} is {'not in it' if part in parts else 'in it, and no part'}"
    for user, used in includes:
        if user != used and height.get(user, 0) <= height.get(used, 0):
            yield f"{PICTURE}: {user} includes {used}, which does not stand below it"


def complaints(root):
    for floor, allowed in FLOORS.items():
        for path in sorted((root / floor).rglob("*")):
            if path.suffix not in (".cpp", ".hpp", ".h"):
                continue
            name = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if PURE.match(name) and IMPURE_CALL.search(line):
                    yield f"{name}:{number}: this folder has no file, clock, network or environment"
                match = INCLUDE.match(line)
                if not match:
                    continue
                target = match.group(1)
                first = target.split("/")[0]
                where = f"{name}:{number}: {target}"
                if first in FLOORS and first not in allowed:
                    yield f"{where} climbs the tower"
                if target == "p11-kit/pkcs11.h" and not CRYPTOKI_ALLOWED.match(name):
                    yield f"{where} belongs to the private headers of pkcs11/"
                if target in PRIVATE and not (floor == "pkcs11" and (path.suffix == ".cpp" or name in PRIVATE)):
                    yield f"{where} is private to the sources of pkcs11/"
                if path.suffix != ".cpp" and first == "openssl":
                    yield f"{where} OpenSSL's types stay out of public headers"
                if PURE.match(name) and target in IMPURE:
                    yield f"{where} this folder has no file, clock, network or environment"
                if floor != "cli" and target in TERMINAL:
                    yield f"{where} streams to the terminal are written in cli/ alone"


def main():
    root = pathlib.Path(sys.argv[1])
    sources = sum(1 for floor in FLOORS for _ in (root / floor).rglob("*.?pp"))
    if sources < 20:
        sys.exit(f"only {sources} sources found in {root}: not the project's folder")
    found = [*complaints(root), *sorted(lies(root))]
    print("\n".join(found) or f"{sources} sources, no include out of place")
    sys.exit(1 if found else 0)


main()
