"""Modules, tokens and identities, without login."""

import os
import subprocess
import sys

import ctlsign
import pytest
from conftest import KRAKOW, RUNTIME, TOKEN, error_of


def test_a_token_says_who_it_is(etoken, modules):
    (token,) = ctlsign.list_tokens(modules)
    assert (token.label, token.serial) == (etoken.label, etoken.serial)
    assert token.manufacturer and token.model and token.hardware_version and token.firmware_version
    assert token.module_path == modules[0].path and token.slot >= 0
    assert token.login_required and not token.pin_at_reader
    assert f"token={token.label}" in token.uri and token.serial in str(token)
    assert "CKM_RSA_PKCS" in token.mechanisms()
    status = token.pin_status()
    assert (status.state, status.tries_left, status.tries_maximum) == (ctlsign.PinState.GOOD, 15, 15)
    assert "15 of 15" in str(status)


def test_identities(etoken, modules):
    token = ctlsign.find_token(modules=modules)
    (identity,) = token.identities()
    certificate = ctlsign.Certificate.decode(TOKEN.with_suffix(".pem").read_bytes())
    assert identity.certificate == certificate and hash(identity.certificate) == hash(certificate)
    assert identity.is_sast and identity.token == token and identity.key_id
    assert isinstance(identity.label, str) and isinstance(identity.key_seen, bool)
    assert "SAST-ADN008580ef" in repr(identity)


def test_one_token_by_any_name(virtual_tokens, etoken, modules):
    virtual_tokens.create("etoken-5110", "T2")
    one = ctlsign.find_token("T1", modules)
    for name in (etoken.serial, f"pkcs11:serial={etoken.serial}", one.uri):
        assert ctlsign.find_token(name, modules) == one
    assert ctlsign.find_token("T2", modules) != one
    assert len({one, ctlsign.find_token("T1", modules)}) == 1
    several = error_of(lambda: ctlsign.find_token(None, modules))
    assert several.code is ctlsign.SignerCode.SEVERAL_TOKENS and several.category == "sast"
    assert "T1" in several.advice and "T2" in several.advice
    none = error_of(lambda: ctlsign.find_token("T3", modules))
    assert none.code is ctlsign.SignerCode.NO_TOKEN and "T3" in str(none)


def test_a_token_keeps_its_module_open(etoken, virtual_tokens):
    with ctlsign.open_modules(virtual_tokens.module)[0] as module:
        (token,) = module.tokens()
    module.close()
    assert module.path == virtual_tokens.module
    with pytest.raises(ValueError, match="closed"):
        module.tokens()
    with pytest.raises(ValueError, match="closed"):
        ctlsign.list_tokens([module])
    assert token.identities()


def test_a_token_that_was_pulled_is_named(etoken, modules):
    token = ctlsign.find_token("T1", modules)
    etoken.unplug()
    gone = error_of(token.identities)
    assert gone.condition is ctlsign.Recovery.TOKEN_GONE
    assert (gone.token_label, gone.token_serial) == (etoken.label, etoken.serial)


def test_modules_by_uri_and_in_a_process_of_their_own(etoken, virtual_tokens):
    opened = [ctlsign.open_modules(uri=f"pkcs11:?module-path={virtual_tokens.module}")]
    if not RUNTIME:  # else p11-kit's program cannot load the module
        opened += [ctlsign.open_modules(virtual_tokens.module, isolated=True, deadline=60),
                   ctlsign.open_modules(f"|p11-kit remote {virtual_tokens.module}")]
    for modules in opened:
        assert ctlsign.find_token("T1", modules).serial == etoken.serial
    for deadline in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="deadline"):
            ctlsign.open_modules(virtual_tokens.module, isolated=True, deadline=deadline)


def test_configured_modules(etoken):
    """p11-kit's own; those that do not start warn. In a process of its own, since they are not ours."""
    done = subprocess.run([sys.executable, "-W", "always", "-c",
                           "import ctlsign; print(all(isinstance(m, ctlsign.Module) for m in ctlsign.open_modules()))"],
                          capture_output=True, text=True, check=True, env=os.environ | RUNTIME)
    assert done.stdout == "True\n"


def test_errors_of_modules():
    missing = error_of(lambda: ctlsign.open_modules("/nowhere/at-all.so"))
    assert missing.code is ctlsign.TokenCode.MODULE_NOT_LOADED
    assert missing.condition is ctlsign.Recovery.DEVICE_FAILED and missing.token_label is None
    assert error_of(lambda: ctlsign.open_modules(uri="http:x")).code is ctlsign.TokenCode.NOT_AN_URI
    with pytest.raises(TypeError):
        ctlsign.open_modules(7)


def test_certificates(tmp_path):
    pem = TOKEN.with_suffix(".pem").read_bytes()
    issuer = (KRAKOW / "tokens" / "test-manufacturing-ca.pem").read_bytes()
    first, second = ctlsign.Certificate.decode_all(pem + issuer)
    assert first == ctlsign.Certificate.decode(first.der) == ctlsign.Certificate.decode(first.to_pem().encode())
    assert first != second and first.issuer == second.subject
    assert first.common_name.strip() == "SAST-ADN008580ef" and first.key_bits == 1024 and first.serial
    assert first.not_before < first.not_after and first.not_after.utcoffset().total_seconds() == 0
    assert first.subject in repr(first)
    assert error_of(lambda: ctlsign.Certificate.decode(b"none")).code is ctlsign.SignerCode.MALFORMED_CERTIFICATE
    for buffer in (bytearray(pem), memoryview(pem)):
        assert ctlsign.Certificate.decode(buffer) == first
    with pytest.raises(TypeError):
        ctlsign.Certificate.decode(pem.decode())
