"""Mixed mode and back, with tokens and without: the files byte for byte, the mode, the texts, the exit codes."""

import os
import pty
import subprocess

from conftest import FIRST, KRAKOW, RESTART, SECOND, TIME, program

GOLDEN = {name: (KRAKOW / f"CTLFile-{name}.tlv").read_bytes() for name in ("tokenless", "tokenless-sha512", "tokens")}
TOKEN_RECORDS = [("SAST", 1186, False), ("CCM+TFTP", 1022, False), ("CAPF", 1004, False), ("CCM+TFTP", 1026, False),
                 ("SAST", 1186, True)]


def test_a_new_cluster(cluster):
    assert cluster.mode == "0" and cluster.ctl is None
    assert "No CTL File exists on the server" in cluster("status").out


def test_tokenless_to_mixed_mode(cluster):
    result = cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    assert cluster.ctl == GOLDEN["tokenless"] and len(cluster.ctl) == 4947
    assert cluster.mode == "1"
    assert result.out == f"Moving Cluster to Mixed Mode\nCluster set to Mixed Mode\n{RESTART}Then reset all phones\n"
    assert "This operation sets the cluster to Mixed mode. Do you want to continue? (y/n):" in result.err
    assert cluster.records() == [("SAST", 1156, True), ("CCM+TFTP", 1156, False), ("CAPF", 1138, False),
                                 ("CCM+TFTP", 1161, False)]


def test_a_first_ctl_has_sha512(cluster):
    cluster.change("mixed-mode", "--tokenless")
    assert cluster.ctl == GOLDEN["tokenless-sha512"]


def test_the_digest_stays(cluster):
    cluster.change("mixed-mode", "--tokenless", "--digest", "sha1")
    cluster.change("update")
    assert cluster.ctl == GOLDEN["tokenless"]
    cluster.change("update", "--digest", "sha512")
    assert cluster.ctl == GOLDEN["tokenless-sha512"]


def test_tokens_to_mixed_mode(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    assert tokens.ctl == GOLDEN["tokens"] and len(tokens.ctl) == 5728
    assert tokens.mode == "1" and tokens.records() == TOKEN_RECORDS


def test_from_eleven_five_the_publisher_is_a_sast_beside_the_tokens(make_cluster):
    cluster = make_cluster("11.5(1)")
    cluster("certificate", "regenerate", "--store", "ITLRecovery", "--node", "cucm-1051-a-pub", "--subject",
            "CN=ITLRECOVERY_cucm-1051-a-pub", "--yes")
    for name in (FIRST, SECOND):
        cluster.create_token(name)
    cluster("mixed-mode", *cluster.tokens(FIRST, SECOND), "--yes")
    signed = [signed for role, _, signed in cluster.records() if role == "SAST"]
    assert len(signed) == 4 and sum(signed) == 1
    # Its two are no tokens that could be plugged in.
    path = cluster.nodes["cucm-1051-a-pub"] / "CTLFile.tlv"
    assert "2 of 2 tokens ready" in cluster.ctlsign("token", "ready", "--ctl", path, env=cluster.env).out


def test_tokens_to_non_secure_mode_and_back(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    result = tokens.change("non-secure-mode", *tokens.tokens(SECOND))
    assert len(tokens.ctl) == 3746 and tokens.mode == "0"
    assert tokens.records() == [("SAST", 1186, False), ("CCM+TFTP", 33, False), ("CAPF", 1004, False),
                                ("CCM+TFTP", 33, False), ("SAST", 1186, True)]
    assert result.out == f"Moving Cluster to Non Secure Mode\nCluster set to Non Secure Mode\n{RESTART}Then reset all phones\n"
    assert "This operation will set the cluster to non secure mode. Do you want to continue? (y/n):" in result.err
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND))
    assert tokens.ctl == GOLDEN["tokens"] and tokens.mode == "1"


def test_the_publisher_sets_a_token_cluster_back(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    tokens.change("non-secure-mode")
    assert tokens.mode == "0"
    # The publisher's certificate is SAST now, the tokens are gone, the servers have lost their certificates.
    assert tokens.records() == [("SAST", 1156, True), ("CCM+TFTP", 36, False), ("CAPF", 1138, False),
                                ("CCM+TFTP", 37, False)]


def test_one_token_is_too_few(tokens):
    result = tokens.change("mixed-mode", *tokens.tokens(SECOND), expect=4)
    assert "rule two-tokens" in result.err and tokens.ctl is None and tokens.mode == "0"
    result = tokens.change("mixed-mode", *tokens.tokens(SECOND, SECOND), expect=4)
    assert "rule two-tokens" in result.err
    forced = tokens.change("mixed-mode", *tokens.tokens(SECOND), "--force")
    assert "a walk to every phone" in forced.err
    assert [entry["rule"] for entry in tokens.audit() if entry["event"] == "forced"] == ["two-tokens"]


def test_a_token_that_is_only_a_certificate(tokens):
    tokens.unplug(FIRST)
    tokens.change("mixed-mode", "--token", KRAKOW / "tokens" / f"{FIRST}.pem", *tokens.tokens(SECOND), "--digest", "sha1")
    assert tokens.ctl == GOLDEN["tokens"]


def test_an_update_stays_with_tokens(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1")
    result = tokens.change("update", expect=4)
    assert "rule same-way" in result.err and tokens.ctl == GOLDEN["tokens"]
    result = tokens.change("update", *tokens.tokens(SECOND))
    assert tokens.ctl == GOLDEN["tokens"]
    assert result.out == f"Updating CTL file\nCTL file Updated\n{RESTART}Then reset all phones\n"
    assert "This operation updates the CTLFile. Do you want to continue? (y/n):" in result.err
    tokens.change("update", *tokens.tokens(FIRST))
    assert tokens.records() == [(role, length, number == 0) for number, (role, length, _) in enumerate(TOKEN_RECORDS)]


def test_a_stranger_cannot_update(tokens):
    tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND))
    before = tokens.ctl
    tokens.create_token("stranger")
    result = tokens.change("update", *tokens.tokens("stranger"), expect=4)
    assert "The Security Token you have inserted does not exist in the CTL File" in result.err
    assert ("Please remove any Security Tokens already inserted and insert another Security Token. Click Ok when done."
            in result.err)
    assert "rule token-in-ctl" in result.err and tokens.ctl == before


def test_what_does_not_fit_the_mode(cluster):
    assert "rule mode-fits" in cluster.change("update", expect=4).err
    assert "rule mode-fits" in cluster.change("non-secure-mode", expect=4).err
    cluster.change("mixed-mode", "--tokenless")
    assert "rule mode-fits" in cluster.change("mixed-mode", "--tokenless", expect=4).err
    assert "--tokenless" in cluster.change("mixed-mode", expect=2).err


def test_releases(make_cluster, tmp_path):
    cluster = make_cluster("9.1(2)")
    assert "rule knows-tokenless" in cluster.change("mixed-mode", "--tokenless", expect=4).err
    (tmp_path / "cluster.db").rename(tmp_path / "old.db")
    for name in ("cluster.db-wal", "cluster.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    cluster("init", "--release", "14SU3")
    cluster.create_token("A")
    assert "rule takes-tokens" in cluster.change("mixed-mode", *cluster.tokens("A"), expect=4).err


def test_no_question_without_a_terminal(cluster):
    result = cluster("mixed-mode", "--tokenless", *TIME, expect=2)
    assert "--yes" in result.err and cluster.ctl is None and cluster.mode == "0"


def answer(cluster, tmp_path, text, *arguments):
    """Runs a command at a terminal, and types TEXT at its question."""
    main, side = pty.openpty()
    process = subprocess.Popen([program.PROGRAM, "cluster", *arguments], cwd=tmp_path, stdin=side, stdout=subprocess.PIPE,
                               stderr=side, env=os.environ | cluster.env)
    os.close(side)
    os.write(main, text)
    out = process.stdout.read()
    process.stdout.close()
    code = process.wait()
    shown = b""
    try:
        while piece := os.read(main, 4096):
            shown += piece
    except OSError:  # the terminal's other end is closed
        pass
    os.close(main)
    return code, out, shown


def test_the_question_at_a_terminal(cluster, tmp_path):
    code, out, shown = answer(cluster, tmp_path, b"n\n", "mixed-mode", "--tokenless", *TIME)
    assert code == 2 and out == b"" and cluster.ctl is None
    assert b"This operation sets the cluster to Mixed mode. Do you want to continue? (y/n):" in shown
    code, _, _ = answer(cluster, tmp_path, b"y\n", "mixed-mode", "--tokenless", "--digest", "sha1", *TIME)
    assert code == 0 and cluster.ctl == GOLDEN["tokenless"]


def test_a_dry_run_changes_nothing(tokens):
    result = tokens.change("mixed-mode", *tokens.tokens(FIRST, SECOND), "--digest", "sha1", "--dry-run")
    assert "5728 octets" in result.out and tokens.ctl is None and tokens.mode == "0"


def test_what_the_stores_miss(ctlsign, tmp_path, make_cluster):
    cluster = make_cluster("12.0(1)")
    result = cluster.change("mixed-mode", "--tokenless", expect=4)
    assert "rule certificates-there" in result.err and "ITLRecovery" in result.err
