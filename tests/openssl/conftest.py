"""The examples of bindings/openssl, as CTest has built them (CTLSIGN_EXAMPLES), with virtual tokens."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["ctlsign_virtual_token"]

EXAMPLES = Path(os.environ["CTLSIGN_EXAMPLES"])
ROOT = Path(__file__).resolve().parents[2]
KRAKOW, PROFILES = ROOT / "tests" / "data" / "krakow", ROOT / "softhsm-profiles" / "profiles"


@pytest.fixture(autouse=True)
def state(tmp_path_factory, monkeypatch):
    """What is remembered of tokens is this test's alone."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
