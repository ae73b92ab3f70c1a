"""The enumerations of the package. Those of text have as values what the program `ctlsign` prints."""

from enum import Enum, IntEnum


class Digest(str, Enum):
    """With what a trust list is signed."""

    SHA1 = "SHA-1"
    SHA256 = "SHA-256"
    SHA512 = "SHA-512"


class Role(IntEnum):
    """What a record's certificate is for."""

    SAST = 0
    CCM = 1
    CCM_TFTP = 2
    TFTP = 3
    CAPF = 4
    APP_SERVER = 7
    TVS = 21


class Outcome(str, Enum):
    """The answer of a verdict."""

    VERIFIED = "verified"
    REFUSED = "refused"
    KEY_NOT_HERE = "key-not-here"


class Basis(str, Enum):
    """Where the key of a verdict came from."""

    FILE_ITSELF = "file-itself"
    CERTIFICATE = "certificate"
    INSTALLED_LIST = "installed-list"


class Rule(str, Enum):
    """The rule that decided a verdict."""

    SIGNATURE_FITS = "signature-fits"
    SIGNATURE_WRONG = "signature-wrong"
    NOT_SIGNED = "not-signed"
    SIGNER_UNKNOWN = "signer-unknown"
    SIGNERS_CONFLICT = "signers-conflict"
    RECORD_KEY_DIFFERS = "record-key-differs"
    RECORD_SERIAL_DIFFERS = "record-serial-differs"
    NO_CERTIFICATE = "no-certificate"
    HASH_ONLY = "hash-only"
    NO_ANCHOR = "no-anchor"
    CERTIFICATE_UNREADABLE = "certificate-unreadable"
    KEY_UNSUPPORTED = "key-unsupported"
    KEY_SIZE_DIFFERS = "key-size-differs"


class Caution(str, Enum):
    """What a verdict draws attention to."""

    SHA1 = "sha1"
    KEY_BELOW_2048 = "key-below-2048"
    SIGNER_EXPIRED = "signer-expired"
    RECORD_EXPIRED = "record-expired"
    RECORD_UNREADABLE = "record-unreadable"
    RECORD_INCONSISTENT = "record-inconsistent"
    OVER_PHONE_LIMIT = "over-phone-limit"
    DUPLICATE_SIGNER = "duplicate-signer"
    NEWER_VERSION = "newer-version"


class Change(str, Enum):
    """What happened to a token."""

    ARRIVED = "arrived"
    LEFT = "left"


class PinKind(str, Enum):
    """What is asked for."""

    USER_PIN = "PIN"
    PASSPHRASE = "passphrase"


class PinState(str, Enum):
    """What a token says of its PIN."""

    GOOD = "good"
    COUNT_LOW = "a wrong PIN was entered"
    FINAL_TRY = "one try left"
    LOCKED = "locked"
    NOT_INITIALIZED = "not set"


class Recovery(IntEnum):
    """What to do about an error of a token."""

    TOKEN_GONE = 1
    SESSION_LOST = 2
    LOGIN_NEEDED = 3
    PIN_WRONG = 4
    PIN_LOCKED = 5
    BUSY = 6
    UNSUPPORTED = 7
    DEVICE_FAILED = 8


class TokenCode(IntEnum):
    """Codes of the category "pkcs11"."""

    MODULE_NOT_LOADED = 1
    NOT_AN_URI = 2
    PIN_IN_URI = 3
    MALFORMED_QUIRKS = 4
    FORKED = 5
    WRONG_LENGTH = 6
    NO_MECHANISM = 7
    FINAL_TRY_REFUSED = 8
    PIN_REFUSED = 9
    TOKEN_IN_USE = 10
    MODULE_ENDED = 11
    TOKEN_GONE = 12


class SignerCode(IntEnum):
    """Codes of the category "sast"."""

    MALFORMED_CERTIFICATE = 1
    MALFORMED_KEY = 2
    NO_TOKEN = 3
    SEVERAL_TOKENS = 4
    SEVERAL_KEYS = 5
    NO_CERTIFICATE = 6
    NO_KEY = 7
    KEY_MISMATCH = 8
    UNSUPPORTED_KEY = 9
    PIN_NEEDED = 10
    WRONG_PASSPHRASE = 11
    MALFORMED_LEDGER = 12
    WRONG_SIGNATURE = 13


class ListCode(IntEnum):
    """Codes of the category "ctlsign"."""

    MALFORMED = 1
    OVERSIZED = 2
    UNENCODABLE = 3
    NOT_VERIFIED = 4
    DIGEST_MISMATCH = 5
    RULE_REFUSED = 6
    IN_USE = 7
    NODE_FAILED = 8
    UNFINISHED = 9
