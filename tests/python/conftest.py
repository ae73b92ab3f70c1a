"""The Python package from the build tree, with virtual tokens. CTest says where both are (PYTHONPATH, CTLSIGN_PROGRAM)."""

import gc
import os
from pathlib import Path

import ctlsign
import pytest

pytest_plugins = ["ctlsign_virtual_token"]

# Of an instrumented build: for interpreters alone. Our own programs bring theirs, other programs cannot load our module.
RUNTIME = {"LD_PRELOAD": os.environ.pop("LD_PRELOAD")} if "LD_PRELOAD" in os.environ else {}

DATA = Path(__file__).resolve().parent.parent / "data"
KRAKOW, OPEN_TOOLS = DATA / "krakow", DATA / "open-tools"
TOKEN = KRAKOW / "tokens" / "SAST-ADN008580ef"
PUBLISHER = KRAKOW / "certificates" / "cucm-1051-a-pub"


@pytest.fixture(autouse=True)
def state(tmp_path_factory, monkeypatch):
    """What is remembered of tokens is this test's alone. What a test leaves to the collector goes before the next."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    yield
    gc.collect()


@pytest.fixture
def etoken(virtual_tokens):
    """The token of the golden file, plugged in."""
    return virtual_tokens.create("etoken-pro-64k", "T1", key=f"{TOKEN}.key", certificate=f"{TOKEN}.pem")


@pytest.fixture
def modules(virtual_tokens):
    return ctlsign.open_modules(virtual_tokens.module)


class Pins:
    """Answers with a PIN and remembers what it was asked."""

    def __init__(self, pin):
        self.pin, self.requests = pin, []

    def __call__(self, request):
        self.requests.append(request)
        if isinstance(self.pin, BaseException):
            raise self.pin
        return self.pin


@pytest.fixture
def pins(etoken):
    return Pins(etoken.pin)


@pytest.fixture
def signer(etoken, modules, pins):
    with ctlsign.TokenSigner("T1", pins, modules=modules, wait=60) as opened:
        yield opened


@pytest.fixture
def golden():
    """The list that the golden token signed, and what of it was signed."""
    octets = (KRAKOW / "CTLFile-tokens.tlv").read_bytes()
    return ctlsign.TrustList.decode(octets)


def error_of(work):
    with pytest.raises(ctlsign.Error) as raised:
        work()
    return raised.value
