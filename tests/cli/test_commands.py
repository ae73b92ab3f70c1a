"""What holds for every command: help, an example, completion, a manual page, usage errors."""

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
    "cluster certificate": ["import", "list", "delete", "regenerate"],
    "cluster token": ["add", "remove", "list"],
    "virtual": ["create", "list", "plug", "unplug", "fault", "env", "learn"],
}
COMMANDS = [""] + [f"{parent} {name}".strip() for parent, names in TREE.items() for name in names]
# Those that report, and hence have --json.
REPORTING = [c for c in COMMANDS if c and c not in TREE and c not in ("virtual fault", "cluster restarted", "tvs serve")]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_with_one_example(ctlsign, command):
    result = ctlsign(*command.split(), "--help")
    assert f"Usage: {' '.join(['ctlsign', *command.split()])}" in result.out
    assert len(re.findall(r"^Example:\n  .*ctlsign .+$", result.out, re.M)) == 1
    assert result.err == ""
    assert ctlsign(*command.split(), "-h").out == result.out


@pytest.mark.parametrize("command", REPORTING)
def test_json_where_it_reports(ctlsign, command):
    assert "--json" in ctlsign(*command.split(), "--help").out


@pytest.mark.parametrize("command", COMMANDS)
def test_manual_page(ctlsign, tmp_path, command):
    page = ctlsign("manual", *command.split()).out
    (tmp_path / "page.1").write_text(page)
    name = "-".join(["ctlsign", *command.split()])
    assert page.startswith(f".TH {name.upper()}".replace("-", "\\-")) and "\n.SH EXAMPLE\n" in page
    for option in re.findall(r"^  (?:-\w,)?(--[a-z-]+)", ctlsign(*command.split(), "--help").out, re.M):
        assert option.replace("-", "\\-") in page, option


def test_every_page_in_a_folder(ctlsign, tmp_path):
    (tmp_path / "man").mkdir()
    ctlsign("manual", "--folder", "man")
    assert sorted(os.listdir(tmp_path / "man")) == sorted("-".join(["ctlsign", *c.split()]) + ".1" for c in COMMANDS)


def complete(ctlsign, *words):
    """What bash offers for the last of WORDS."""
    script = ctlsign("completion", "bash").out
    quoted = " ".join(f"'{word}'" for word in words)
    probe = f"{script}\ncompopt() {{ :; }}\nCOMP_WORDS=(ctlsign {quoted}); COMP_CWORD={len(words)}\n_ctlsign\n" \
            "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", probe], capture_output=True, check=True)
    assert done.stderr == b"", done.stderr
    return done.stdout.decode().split()


def test_bash_completion(ctlsign):
    assert set(complete(ctlsign, "")) == {*TREE[""], "-h", "--help", "--version"}
    assert complete(ctlsign, "ver") == ["verify"]
    for parent in TREE:
        assert set(TREE[parent]) <= set(complete(ctlsign, *parent.split(), ""))
    assert complete(ctlsign, "build", "--time") == ["--timestamp"]
    assert complete(ctlsign, "config", "sign", "x", "--roo") == ["--root"]
    assert complete(ctlsign, "build", "--timestamp", "") == []
    assert "/etc/passwd" in complete(ctlsign, "verify", "--installed", "/etc/passw")


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
