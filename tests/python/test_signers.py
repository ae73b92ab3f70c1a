"""Signers: how the PIN is asked for, what a signature is, and what an error says."""

import gc
import os
import subprocess
import weakref

import ctlsign
import pytest
from conftest import PUBLISHER, TOKEN, Pins, error_of


def signed(golden):
    """What the golden signature is over."""
    octets = bytes(golden)
    return octets[: octets.index(golden.signature) - 3] + octets[octets.index(golden.signature) + len(golden.signature):]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_golden_signature(signer, pins, golden, kind):
    assert signer.sign(kind(signed(golden)), "sha1") == golden.signature
    assert signer.sign(kind(signed(golden)), ctlsign.Digest.SHA1) == golden.signature
    assert len(pins.requests) == 1
    assert pins.requests[0].kind is ctlsign.PinKind.USER_PIN
    assert pins.requests[0].state is ctlsign.PinState.GOOD
    assert pins.requests[0].subject == signer.description
    assert (pins.requests[0].token_label, pins.requests[0].token_serial) == (signer.token.label, signer.token.serial)
    assert pins.requests[0].tries_left == 15


def test_facts_need_no_pin(signer, pins, etoken):
    assert signer.certificate == ctlsign.Certificate.decode(TOKEN.with_suffix(".pem").read_bytes())
    assert (signer.key_bits, signer.signature_length) == (1024, 128)
    assert etoken.serial in signer.description and "TokenSigner" in repr(signer)
    assert signer.token.serial == etoken.serial
    assert any("CKM_RSA_PKCS" in line for line in signer.plan("sha256"))
    with pytest.raises(ValueError, match="digest"):
        signer.plan("md5")
    with pytest.raises(ValueError, match="digest"):
        signer.sign(b"", "md5")
    assert not pins.requests


def test_ways_to_choose(etoken, modules, pins, golden):
    token = ctlsign.find_token("T1", modules)
    stand_in = ctlsign.Certificate.decode(TOKEN.with_suffix(".pem").read_bytes())
    for choice in (None, etoken.serial, token.uri, token, token.identities()[0]):
        with ctlsign.TokenSigner(choice, pins, modules=modules, certificate=stand_in) as signer:
            assert signer.sign(signed(golden), "sha1") == golden.signature
    # The module can be in the name, and so can the place of the PIN.
    uri = f"{token.uri}?module-path={modules[0].path}&pin-source=file:{etoken.pin_file}"
    with ctlsign.TokenSigner(uri) as signer:
        assert signer.sign(signed(golden), "sha1") == golden.signature
    other = ctlsign.Certificate.decode(PUBLISHER.with_suffix(".pem").read_bytes())
    wrong = error_of(lambda: ctlsign.TokenSigner("T1", pins, modules=modules, certificate=other).unlock())
    assert wrong.code is ctlsign.SignerCode.KEY_MISMATCH and wrong.token_label == "T1"


@pytest.mark.parametrize("kind", [str, str.encode, lambda text: bytearray(text.encode()),
                                  lambda text: memoryview(text.encode())])
def test_kinds_of_pin(etoken, modules, kind):
    pin = kind(etoken.pin)
    with ctlsign.TokenSigner("T1", lambda request: pin, modules=modules) as signer:
        signer.unlock()
    assert pin == kind(etoken.pin)


def test_a_pin_at_the_reader(etoken, modules, pins, golden, tmp_path, monkeypatch):
    monkeypatch.setenv("RECORD_MODULE", modules[0].path)
    monkeypatch.setenv("RECORD_LOG", str(tmp_path / "calls"))
    monkeypatch.setenv("RECORD_READER_PIN", etoken.pin)
    looked = []
    reader = ctlsign.open_modules(f"{os.environ['CTLSIGN_BUILD']}/tests/recording_module.so")
    with ctlsign.TokenSigner("T1", pins, modules=reader, on_reader=looked.append) as signer:
        assert signer.sign(signed(golden), "sha1") == golden.signature
    assert [request.token_label for request in looked] == ["T1"] and not pins.requests
    with ctlsign.TokenSigner("T1", modules=reader) as signer:
        assert signer.sign(signed(golden), "sha1") == golden.signature


def test_what_is_no_pin(etoken, modules):
    def sign_with(answer):
        with ctlsign.TokenSigner("T1", lambda request: answer, modules=modules) as signer:
            signer.sign(b"", "sha1")

    for nothing in (None, "", b""):
        needed = error_of(lambda nothing=nothing: sign_with(nothing))
        assert needed.code is ctlsign.SignerCode.PIN_NEEDED and needed.token_serial == etoken.serial
    with pytest.raises(TypeError, match="a PIN must be"):
        sign_with(1234)
    with pytest.raises(ValueError, match="255 octets"):
        sign_with("9" * 256)
    with pytest.raises(UnicodeEncodeError):
        sign_with("\udc80")
    with pytest.raises(TypeError, match="callable"):
        ctlsign.TokenSigner("T1", "1234", modules=modules)
    without = error_of(lambda: ctlsign.TokenSigner("T1", modules=modules).unlock())
    assert without.code is ctlsign.SignerCode.PIN_NEEDED and "function" in without.advice
    assert etoken.tries_left in (None, 15)


def test_a_wrong_pin_names_the_token_and_what_to_do(etoken, modules):
    wrong = Pins("ünot-the-pin")
    with ctlsign.TokenSigner("T1", wrong, modules=modules) as signer:
        refused = error_of(lambda: signer.sign(b"x", "sha1"))
    assert refused.condition is ctlsign.Recovery.PIN_WRONG
    assert (refused.code, refused.category, refused.reason) == (0xA0, "pkcs11-rv", "CKR_PIN_INCORRECT")
    assert refused.function == "C_Login" and refused.subject == signer.description
    assert (refused.token_label, refused.token_serial) == (etoken.label, etoken.serial)
    assert "not-the-pin" not in str(refused)
    with ctlsign.TokenSigner("T1", wrong, modules=modules) as signer:
        again = error_of(lambda: signer.sign(b"x", "sha1"))
    assert again.code is ctlsign.TokenCode.PIN_REFUSED and "forget-pin-failures" in again.advice
    assert etoken.tries_left == 14


def test_the_final_try_is_spent_on_demand(etoken, modules):
    (etoken.pin_file.parent / "pin-tries").write_text("1")
    with ctlsign.TokenSigner("T1", Pins(etoken.pin), modules=modules) as signer:
        assert error_of(signer.unlock).code is ctlsign.TokenCode.FINAL_TRY_REFUSED
    with ctlsign.TokenSigner("T1", Pins(etoken.pin), modules=modules, use_final_try=True) as signer:
        signer.unlock()
    assert etoken.tries_left == 15


def test_what_a_callback_raises_comes_out_as_itself(etoken, modules):
    class Mine(Exception):
        pass

    mine = Mine("of the caller")
    with ctlsign.TokenSigner("T1", Pins(mine), modules=modules) as signer:
        for _ in range(2):
            with pytest.raises(Mine) as raised:
                signer.sign(b"x", "sha1")
            assert raised.value is mine
            assert any(entry.name == "__call__" for entry in raised.traceback)
    assert etoken.tries_left in (None, 15)


def test_closed(signer):
    signer.close()
    signer.close()
    for use in (lambda: signer.sign(b"", "sha1"), signer.unlock, lambda: signer.plan("sha1"), lambda: signer.token):
        with pytest.raises(ValueError, match="closed"):
            use()
    assert signer.key_bits == 1024


def test_a_signer_is_not_for_its_own_callback(etoken, modules):
    signer = ctlsign.TokenSigner("T1", lambda request: signer.sign(b"", "sha1"), modules=modules)
    with pytest.raises(RuntimeError, match="its own callback"):
        signer.sign(b"", "sha1")


def test_circles_are_collected(etoken, modules):
    class Caller:
        def __init__(self):
            self.signer = ctlsign.TokenSigner("T1", self.ask, modules=modules, on_wait=self.ask, on_reader=self.ask)

        def ask(self, request):
            return etoken.pin

    caller = Caller()
    caller.signer.unlock()
    gone = weakref.ref(caller)
    del caller
    gc.collect()
    assert gone() is None


def test_a_key_file(tmp_path, golden):
    with ctlsign.KeyFileSigner(TOKEN.with_suffix(".key")) as signer:
        assert signer.sign(signed(golden), "sha1") == golden.signature
        assert "SAST-ADN008580ef.key" in signer.description and isinstance(signer, ctlsign.Signer)
    locked = tmp_path / "locked.p12"
    subprocess.run(["openssl", "pkcs12", "-export", "-inkey", TOKEN.with_suffix(".key"), "-in", TOKEN.with_suffix(".pem"),
                    "-out", locked, "-passout", "pass:gehéim"], check=True, capture_output=True)
    words = Pins("gehéim")
    with ctlsign.KeyFileSigner(str(locked), words) as signer:
        assert signer.sign(signed(golden), "sha1") == golden.signature
    (request,) = words.requests
    assert request.kind is ctlsign.PinKind.PASSPHRASE and str(locked) in request.subject
    assert request.token_label is request.token_serial is request.tries_left is None
    wrong = error_of(lambda: ctlsign.KeyFileSigner(locked, Pins("wrong")).unlock())
    assert wrong.code is ctlsign.SignerCode.WRONG_PASSPHRASE and wrong.condition is None
    with pytest.raises(FileNotFoundError) as missing:
        ctlsign.KeyFileSigner(tmp_path / "none.pem")
    assert missing.value.filename == str(tmp_path / "none.pem")


def test_a_key_in_an_hsm(virtual_tokens, modules):
    hsm = virtual_tokens.create("publisher-hsm", "HSM")
    uri = f"pkcs11:token=HSM?pin-source=file:{hsm.pin_file}"
    with ctlsign.TokenSigner(uri, modules=modules) as signer:
        assert len(signer.sign(b"x", "sha512")) == signer.signature_length >= 256
