"""The card through programs: pkcs11-tool and openssl say whether it is a card, then ctlsign's own. Run by with_pcscd."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM, CARD = os.environ["CTLSIGN_PROGRAM"], os.environ["CTLSIGN_PIV_CARD"]
DATA = Path(__file__).resolve().parent.parent / "data"
FIRST, SECOND, RSA2048 = ("krakow/tokens/SAST-ADN0054f509", "krakow/tokens/SAST-ADN008580ef", "krakow/regenerated/cucm-1051-a-pub")
GOLDEN = DATA / "krakow" / "CTLFile-tokens.tlv"


class Card:
    def __init__(self, number, *stems):
        self.process = subprocess.Popen([CARD, str(number), *stems], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0


@pytest.fixture
def make_card():
    cards = []

    def make(number, *stems):
        cards.append(Card(number, *stems))
        return cards[-1]

    yield make
    for card in cards:
        card.close()


def ctlsign(*arguments, pin="123456"):
    return subprocess.run([PROGRAM, *map(str, arguments)], env=os.environ | {"CTLSIGN_MODULE": "opensc-pkcs11.so", "THE_PIN": pin},
                          capture_output=True, text=True, timeout=120, check=False)


def listed():
    done = ctlsign("token", "list", "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)["tokens"]


def wait_until_listed(count):
    """pcscd notices within half a second; a busy machine gets more."""
    end = time.monotonic() + 30
    while len(tokens := listed()) != count:
        assert time.monotonic() < end, tokens
        time.sleep(0.05)
    return tokens


@pytest.mark.parametrize("stem", [FIRST, RSA2048])
def test_pkcs11_tool_signs_and_openssl_verifies(make_card, tmp_path, stem):
    card = make_card(1, stem)
    assert card.say("insert") == "done"
    wait_until_listed(1)
    (tmp_path / "message").write_bytes(b"abc")
    subprocess.run(["pkcs11-tool", "--module", "opensc-pkcs11.so", "--login", "--pin", "123456", "--id", "01", "--sign",
                    "--mechanism", "SHA256-RSA-PKCS", "--input-file", "message", "--output-file", "signature"],
                   cwd=tmp_path, check=True, capture_output=True, timeout=120)
    key = subprocess.run(["openssl", "x509", "-in", f"{DATA / stem}.pem", "-noout", "-pubkey"], check=True, capture_output=True)
    (tmp_path / "key.pem").write_bytes(key.stdout)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "message"],
                   cwd=tmp_path, check=True, capture_output=True)


def test_resign_gives_the_golden_file(make_card, tmp_path):
    card = make_card(1, SECOND)
    card.say("insert 1")
    (token,) = wait_until_listed(1)
    assert token["identities"][0]["sast"]
    done = ctlsign("resign", GOLDEN, "--signer", f"pkcs11:serial={token['serial']}", "--pin-source", "env:THE_PIN",
                   "--timestamp", "1425667513", "-o", tmp_path / "new.tlv")
    assert done.returncode == 0, done
    assert (tmp_path / "new.tlv").read_bytes() == GOLDEN.read_bytes()


def test_a_wrong_pin_spends_one_try_and_the_last_is_kept(make_card, tmp_path):
    card = make_card(1, SECOND)
    card.say("insert")
    wait_until_listed(1)
    command = ["resign", GOLDEN, "--signer", "pkcs11:", "--pin-source", "env:THE_PIN", "-o", tmp_path / "new.tlv"]
    for left, pin in (("2", "000000"), ("1", "000001"), ("1", "000002")):
        assert ctlsign(*command, pin=pin).returncode > 1
        assert card.say("tries") == left
    assert not (tmp_path / "new.tlv").exists()


def test_a_card_pulled_in_the_signature_leaves_no_file(make_card, tmp_path):
    card = make_card(1, SECOND)
    card.say("insert")
    wait_until_listed(1)
    card.say("pull-in-signature")
    done = ctlsign("resign", GOLDEN, "--signer", "pkcs11:", "--pin-source", "env:THE_PIN", "-o", tmp_path / "new.tlv")
    assert done.returncode > 1
    assert list(tmp_path.iterdir()) == []
    assert card.say("tries") == "3"
    wait_until_listed(0)
    card.say("insert")
    wait_until_listed(1)
