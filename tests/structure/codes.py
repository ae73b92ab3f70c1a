#!/usr/bin/python3
"""Fails on an error code that no test names, in C++ with its namespace or in Python with its class. What the program alone can run
into is named by its message, too. Comments and docstrings name nothing.

usage: codes.py SOURCE_FOLDER
"""
import ast
import pathlib
import re
import sys

# The folder of each Errc, its namespace, and the class that stands for it in Python.
ENUMERATIONS = (("pkcs11", "pkcs11", "TokenCode"), ("sast", "sast", "SignerCode"), ("ctlsign", "ctlsign", "ListCode"),
                ("softhsm-profiles", "softhsm", None))
# Strings before comments: "sftp://" begins none.
COMMENT = re.compile(r'R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.S)


def codes(header):
    body = re.search(r"enum class Errc \{(.*?)\n\};", header.read_text(), re.S)[1]
    return re.findall(r"^    ([A-Z]\w+)", body, re.M)


def messages(source):
    return dict(re.findall(r'case Errc::(\w+):\s+return "(.*?)";', source.read_text()))


def named_in_cpp(path):
    """(namespace, code) of each."""
    text = COMMENT.sub('""', path.read_text())
    home = re.search(r"^namespace ctlsign(?:::(\w+))?", text, re.M)
    own = {namespace for _, namespace, _ in ENUMERATIONS}
    for namespace, code in re.findall(r"(?:\b(\w+)::)?\bErrc::(\w+)", text):
        yield namespace or (home[1] if home and home[1] in own else "ctlsign"), code


def said_in_python(path):
    """(class, member) of each, and every string that is not alone."""
    tree = ast.parse(path.read_text())
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    members, strings = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
            members.add((node.value.id if isinstance(node.value, ast.Name) else node.value.attr, node.attr))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in alone:
            strings.add(node.value)
    return members, strings


def main():
    root = pathlib.Path(sys.argv[1])
    in_cpp = {name for path in (root / "tests").rglob("*.?pp") for name in named_in_cpp(path)}
    in_python, strings = set(), set()
    for path in (root / "tests").rglob("*.py"):
        members, said = said_in_python(path)
        in_python |= members
        strings |= said
    missing = []
    for folder, namespace, mirror in ENUMERATIONS:
        texts = messages(root / folder / "error.cpp") if mirror is None else {}
        for code in codes(root / folder / "error.hpp"):
            member = re.sub(r"(?<!^)(?=[A-Z])", "_", code).upper()
            told = mirror is None and any(texts[code] in string for string in strings)
            if (namespace, code) not in in_cpp and (mirror, member) not in in_python and not told:
                missing.append(f"{namespace}::Errc::{code}")
    print("\n".join(missing) or "every error code is named by a test")
    sys.exit(bool(missing))


main()
