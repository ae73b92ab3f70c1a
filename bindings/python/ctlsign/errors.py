"""The exceptions of the package. What the system refuses is an OSError, as everywhere."""

from __future__ import annotations

from .enums import Recovery


class Error(Exception):
    """What failed, on what, why, and what to do next. str() is all of it in one line; it never holds a secret."""

    code: int = 0
    """The CK_RV in the category "pkcs11-rv"; in the others a TokenCode, SignerCode or ListCode."""
    category: str = ""
    """"pkcs11-rv", "pkcs11", "sast" or "ctlsign"."""
    reason: str = ""
    """The code in words: "CKR_DEVICE_REMOVED"."""
    condition: Recovery | None = None
    """What to do about an error of a token."""
    function: str = ""
    """The function or step that failed: "C_Sign"."""
    subject: str = ""
    """On what: the token with label and serial, or a file."""
    advice: str = ""
    """What to do next; may be empty."""
    token_label: str | None = None
    token_serial: str | None = None


class DecodeError(Error):
    """A file that is not what its format says."""

    position: int = 0
    """Where, from the beginning of the file."""


class ModuleWarning(UserWarning):
    """A PKCS#11 module that is configured and does not start."""
