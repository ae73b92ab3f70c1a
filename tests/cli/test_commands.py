"""What holds for every command: help, an example, completion, a manual page, usage errors."""

import functools
import json
import os
import re
import subprocess

import pytest
from conftest import KRAKOW, PROGRAM

TREE = {
    "": ["show", "verify", "diff", "build", "resign", "prepare", "attach", "extract", "config", "token", "cluster", "phone", "tvs", "virtual"],
    "config": ["sign", "verify", "strip"],
    "token": ["list", "doctor", "ready", "rehearse", "selftest", "watch", "export-certificate", "forget-pin-failures", "provision"],
    "phone": ["import", "list", "decide", "preflight", "simulate"],
    "tvs": ["serve", "query", "import-database"],
    "cluster": ["init", "node", "certificate", "mixed-mode", "non-secure-mode", "update", "reset-localkey", "delete-ctl", "token",
                "release", "rollback-parameter", "adopt", "restarted", "status", "expiry", "recover", "check", "export", "consolidate", "import",
                "backup", "restore", "history", "audit"],
    "cluster node": ["add", "remove", "list"],
    "cluster certificate": ["import", "list", "export", "delete", "regenerate"],
    "cluster token": ["add", "remove", "list"],
    "virtual": ["create", "list", "plug", "unplug", "fault", "env", "learn"],
}
COMMANDS = [""] + [f"{parent} {name}".strip() for parent, names in TREE.items() for name in names]
# Those that report, and hence have --json.
REPORTING = [c for c in COMMANDS if c and c not in TREE and c not in ("virtual fault", "cluster restarted", "tvs serve")]


def page_of(command):
    return "-".join(["ctlsign", *command.split()])


@functools.cache
def help_of(command):
    done = subprocess.run([PROGRAM, *command.split(), "--help"], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The folder of every manual page."""
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([PROGRAM, "manual", "--folder", folder], check=True)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_with_one_example(command):
    text = help_of(command)
    assert f"Usage: {' '.join(['ctlsign', *command.split()])}" in text
    assert len(re.findall(r"^Example:\n  .*ctlsign .+$", text, re.M)) == 1
    assert ("--json" in text) >= (command in REPORTING)


@pytest.mark.parametrize("command", COMMANDS)
def test_manual_page(pages, command):
    page = (pages / f"{page_of(command)}.1").read_text()
    assert page.startswith(f".TH {page_of(command).upper()}".replace("-", "\\-")) and "\n.SH EXAMPLE\n" in page
    for option in re.findall(r"^  (?:-\w,)?(--[a-z-]+)", help_of(command), re.M):
        assert option.replace("-", "\\-") in page, option


def test_short_options_and_single_pages(ctlsign, pages):
    for command in ("", "show", "cluster", "cluster token add"):
        assert ctlsign(*command.split(), "-h").out == help_of(command)
        assert ctlsign("manual", *command.split()).out == (pages / f"{page_of(command)}.1").read_text()
    assert sorted(os.listdir(pages)) == sorted(page_of(command) + ".1" for command in COMMANDS)


def complete(script, *words):
    """What the completion SCRIPT offers for the last of WORDS."""
    quoted = " ".join(f"'{word}'" for word in words)
    probe = f"{script}\ncompopt() {{ :; }}\nCOMP_WORDS=(ctlsign {quoted}); COMP_CWORD={len(words)}\n_ctlsign\n" \
            "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", probe], capture_output=True, check=True)
    assert done.stderr == b"", done.stderr
    return done.stdout.decode().split()


def test_bash_completion(ctlsign):
    script = ctlsign("completion", "bash").out
    assert set(complete(script, "")) == {*TREE[""], "-h", "--help", "--version"}
    assert complete(script, "ver") == ["verify"]
    for parent in TREE:
        assert set(TREE[parent]) <= set(complete(script, *parent.split(), ""))
    assert complete(script, "build", "--time") == ["--timestamp"]
    assert complete(script, "config", "sign", "x", "--roo") == ["--root"]
    assert complete(script, "build", "--timestamp", "") == []
    assert "/etc/passwd" in complete(script, "verify", "--installed", "/etc/passw")


def test_zsh_completion(ctlsign, tmp_path):
    script = ctlsign("completion", "zsh").out
    assert script.startswith("#compdef ctlsign\n")
    for command in COMMANDS[1:]:
        assert f"    ctlsign/{command.replace(' ', '/')})\n" in script
    assert "path=" not in script, "path is PATH in zsh"


@pytest.mark.parametrize("arguments, words", [
    ([], "required"),
    (["nonsense"], "there is no command 'nonsense'"),
    (["virtual", "nonsense"], "there is no command 'nonsense'; see ctlsign virtual --help"),
    (["--nonsense"], "there is no option '--nonsense'"),
    (["show"], "FILE"),
    (["show", "a", "b"], "b"),
    (["show", "a", "--nonsense"], "--nonsense"),
    (["build", "m.toml", "-o", "x"], "--signer"),
    (["build", "m.toml", "--signer", "x", "-o"], "-o"),
    (["diff", "-", "-"], "-"),
    (["config", "sign", "x", "--signer", "y", "--jobs", "0"], "--jobs"),
    (["config", "sign", "x", "--signer", "y", "--jobs", "many"], "--jobs"),
    (["completion", "fish"], "fish"),
    (["manual", "nonsense"], "nonsense"),
    (["virtual", "list"], "CTLSIGN_VIRTUAL_TOKENS"),
])
def test_usage(ctlsign, arguments, words):
    result = ctlsign(*arguments, expect=2)
    assert words in result.err and len(result.err.splitlines()) == 1 and result.out == ""


def test_version(ctlsign):
    assert re.fullmatch(r"ctlsign \d+\.\d+\.\d+\n", ctlsign("--version").out)


def test_diff(ctlsign, tmp_path):
    tokens, tokenless = KRAKOW / "CTLFile-tokens.tlv", KRAKOW / "CTLFile-tokenless.tlv"
    assert "same" in ctlsign("diff", tokens, tokens).out
    text = ctlsign("diff", tokens, tokenless, expect=1).out
    assert "- signer " in text and "+ signer CN=cucm-1051-a-pub" in text
    report = json.loads(ctlsign("diff", tokens, tokenless, "--json", expect=1).out)
    changes = [(record["change"], record["what"]) for record in report["records"]]
    assert ("added", "SAST cucm-1051-a-pub") in changes and len([c for c in changes if c[0] == "removed"]) == 2
    assert {signer["change"] for signer in report["signers"]} == {"added", "removed"}


def test_verify_says_by_whom_and_whether_trusted(ctlsign):
    tokens, tokenless = KRAKOW / "CTLFile-tokens.tlv", KRAKOW / "CTLFile-tokenless.tlv"
    alone = ctlsign("verify", tokens)
    assert "proves nothing" in alone.out and "SAST-ADN008580ef" in alone.out
    assert "trusted: yes" in ctlsign("verify", tokens, "--certificate", KRAKOW / "tokens/SAST-ADN008580ef.pem").out
    assert "trusted: no" in ctlsign("verify", tokens, "--certificate", KRAKOW / "tokens/SAST-ADN0054f509.pem", expect=1).out
    assert "trusted: no" in ctlsign("verify", tokens, "--installed", tokenless, expect=1).out
    both = ctlsign("verify", tokens, "--installed", tokenless, "--installed", tokens)
    assert f"trusted: yes, by {tokens}" in both.out
    report = json.loads(ctlsign("verify", tokens, "--installed", tokenless, "--json", expect=1).out)
    assert report["outcome"] == "refused" and report["trusted"] is False and report["rule"] == "signer-unknown"
