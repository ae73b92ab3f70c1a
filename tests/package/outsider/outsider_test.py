"""Somebody else's pytest, with the plugin as it is installed."""

import subprocess

pytest_plugins = ["ctlsign_virtual_token"]


def list_tokens(tokens):
    return subprocess.run(["pkcs11-tool", "--module", tokens.module, "-L"], check=True, capture_output=True,
                          text=True, env=tokens.environment).stdout


def test_a_token_comes_and_goes(virtual_tokens):
    token = virtual_tokens.create("etoken-5110")
    assert token.serial in list_tokens(virtual_tokens)
    token.unplug()
    assert token.serial not in list_tokens(virtual_tokens)
