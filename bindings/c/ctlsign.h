#ifndef CTLSIGN_CTLSIGN_H
#define CTLSIGN_CTLSIGN_H

/*
 * ctlsign for C: Cisco trust lists (CTL, ITL), signed configuration files (.sgn), and who signs them: PKCS#11
 * tokens, HSM keys and key files. C99 and later, C++. Link with libctlsign-c (pkg-config ctlsign-c, CMake
 * ctlsign::c). Symbols carry the version that brought them (CTLSIGN_1.0); what is here stays from 1.0 on.
 *
 * STATUS. Nearly every function returns a ctlsign_status; 0 is success. Its last parameter is where the
 * details go: an object of the caller's, because the last error of a library, or of a thread, is gone or
 * another's by the time that a caller of several threads, or of another language, reads it. It may be NULL.
 * After success it says CTLSIGN_STATUS_OK. No C++ exception leaves the library. On failure every result is
 * zero: NULL, or no octets.
 *
 * HANDLES. What a function opens is a handle, which ctlsign_close() closes, of whatever kind. A handle is a
 * number, never used twice, and no address: one that is NULL, closed, of another kind or made up is always
 * answered with CTLSIGN_STATUS_HANDLE. That also hides a forgotten handle from leak checkers;
 * ctlsign_open_handles() counts them. A handle may be closed while another thread uses it: that call ends
 * first, or with CTLSIGN_STATUS_STOPPED when it waits for a token. What was opened from a handle does not
 * need it to stay open.
 *
 * MEMORY. A ctlsign_bytes that a function fills is the caller's: ctlsign_bytes_free(). A pointer or
 * ctlsign_view inside a struct that a function fills is a view: it lives until the handle it came from is
 * closed. Pointers given to a function are read before it returns and not kept; ctlsign_signer_options says
 * what is different there.
 *
 * NUMBERS. What stands for one of several things is an int, and its values are constants below it.
 *
 * STRUCTS. Those that begin with SIZE grow in later versions. The caller sets it, also where the library
 * fills the rest: ctlsign_token_info info = {.size = sizeof info}; the library reads and writes no more than
 * that.
 *
 * THREADS. Every function may be called from any thread, with any handle. Calls with one ctlsign_signer or
 * one ctlsign_anchors wait for one another; all others run at once. Callbacks run on the thread that called.
 * They may call the library, but not with the signer that asks: CTLSIGN_STATUS_ARGUMENT. They must return:
 * no longjmp(), no pthread_exit().
 *
 * FORK. A child may go on with its parent's handles unless another thread was inside of the library at that
 * moment. Tokens are then opened anew, with a new login. A watcher of the parent tells the child nothing.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define CTLSIGN_API __attribute__((visibility("default")))
#else
#define CTLSIGN_API
#endif

/* ---- Status ---- */

typedef int ctlsign_status;
enum {
    CTLSIGN_STATUS_OK = 0,
    CTLSIGN_STATUS_ARGUMENT = 1,     /* a parameter is NULL or out of range */
    CTLSIGN_STATUS_HANDLE = 2,       /* not an open handle of this kind */
    CTLSIGN_STATUS_MALFORMED = 3,    /* input that is not what it should be, or is too large */
    CTLSIGN_STATUS_RULE = 4,         /* refused by a rule, which the text names */
    CTLSIGN_STATUS_TOKEN = 5,        /* token, PIN, mechanism or key; see the condition */
    CTLSIGN_STATUS_SYSTEM = 6,       /* disk, network, environment */
    CTLSIGN_STATUS_NOT_VERIFIED = 7, /* a signature does not fit, or a digest is not the approved one */
    CTLSIGN_STATUS_NO_PIN = 8,       /* a PIN is needed: there is no callback, or it refused */
    CTLSIGN_STATUS_TIMEOUT = 9,      /* nothing happened in time */
    CTLSIGN_STATUS_STOPPED = 10,     /* what it waited with was closed or stopped */
    CTLSIGN_STATUS_MEMORY = 11,
    CTLSIGN_STATUS_FAULT = 70 /* of the library */
};

/* What to do about an error of a token. */
typedef int ctlsign_condition;
enum {
    CTLSIGN_CONDITION_NONE = 0,
    CTLSIGN_CONDITION_TOKEN_GONE = 1,   /* pulled, or never there: wait for the same serial */
    CTLSIGN_CONDITION_SESSION_LOST = 2, /* the session is dead, the token may be there: open anew */
    CTLSIGN_CONDITION_LOGIN_NEEDED = 3, /* log in, for this key perhaps once more */
    CTLSIGN_CONDITION_PIN_WRONG = 4,    /* this PIN must not be sent again */
    CTLSIGN_CONDITION_PIN_LOCKED = 5,   /* no PIN will do */
    CTLSIGN_CONDITION_BUSY = 6,         /* again, a little later */
    CTLSIGN_CONDITION_UNSUPPORTED = 7,  /* another mechanism or another way may do */
    CTLSIGN_CONDITION_DEVICE_FAILED = 8 /* nothing that a program can mend */
};

typedef struct ctlsign_error {
    ctlsign_status status; /* what the function returned */
    ctlsign_condition condition;
    unsigned long code; /* in its domain: CK_RV in "pkcs11-rv", errno in "system" and "generic" */
    const char* domain; /* lives as long as the library */
    char text[1024];    /* one line: what failed, on what, why, what to do next; never a secret */
} ctlsign_error;

/* "token", "pin-wrong": for machines. "unknown" for a number that is none. They live as long as the library.
 */
CTLSIGN_API const char* ctlsign_status_name(ctlsign_status status);
CTLSIGN_API const char* ctlsign_condition_name(ctlsign_condition condition);

/* "0.1.0" */
CTLSIGN_API const char* ctlsign_version(void);

/* ---- Octets and handles ---- */

/* Octets that are somebody else's. data is NULL where there is nothing, which is not the same as no octets.
 */
typedef struct ctlsign_view {
    const uint8_t* data;
    size_t size;
} ctlsign_view;

/* Octets that are the caller's. A NUL follows them, so that a text is a string. */
typedef struct ctlsign_bytes {
    uint8_t* data;
    size_t size;
} ctlsign_bytes;

/* Leaves it empty. Does nothing to NULL, or to one that is empty. */
CTLSIGN_API void ctlsign_bytes_free(ctlsign_bytes* bytes);

typedef struct ctlsign_modules ctlsign_modules;       /* PKCS#11 modules, loaded */
typedef struct ctlsign_tokens ctlsign_tokens;         /* tokens, as they were found */
typedef struct ctlsign_identities ctlsign_identities; /* who can sign with a token */
typedef struct ctlsign_signer ctlsign_signer;         /* a key that signs */
typedef struct ctlsign_manifest ctlsign_manifest;     /* the recipe of a trust list */
typedef struct ctlsign_file ctlsign_file;             /* a decoded CTL, ITL or .sgn file */
typedef struct ctlsign_anchors ctlsign_anchors;       /* what is trusted already */
typedef struct ctlsign_verdict ctlsign_verdict;       /* the answer to a verification */
typedef struct ctlsign_watcher ctlsign_watcher;       /* tells of tokens that arrive and leave */

/* Closes a handle of any kind; NULL is none. A token is not logged out while others of the process use it. */
CTLSIGN_API ctlsign_status ctlsign_close(void* handle, ctlsign_error* error);
/* How many handles the process has open. */
CTLSIGN_API size_t ctlsign_open_handles(void);

/* ---- Modules and tokens. None of this needs a PIN. ---- */

typedef struct ctlsign_module_options {
    size_t size;
    const char* path;          /* of a module; NULL for all that p11-kit has configured */
    const char* command;       /* instead: run by the shell, serves one: "ssh host p11-kit remote PATH" */
    int isolate;               /* not 0: each in a process of its own, which may hang or crash */
    uint32_t call_deadline_ms; /* of a call to a module in a process of its own; 0 for two minutes */
} ctlsign_module_options;

/* OPTIONS may be NULL. A configured module that does not start is no error, and told by
 * ctlsign_modules_get(); one that is named is. */
CTLSIGN_API ctlsign_status ctlsign_modules_open(const ctlsign_module_options* options,
                                                ctlsign_modules** modules, ctlsign_error* error);

typedef struct ctlsign_module_info {
    size_t size;
    const char* path;
    const char* failure; /* why it did not start; NULL for one that did */
} ctlsign_module_info;

/* Those that started come first. */
CTLSIGN_API ctlsign_status ctlsign_modules_count(ctlsign_modules* modules, size_t* count,
                                                 ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_modules_get(ctlsign_modules* modules, size_t index,
                                               ctlsign_module_info* info, ctlsign_error* error);

typedef int ctlsign_pin_state;
enum {
    CTLSIGN_PIN_GOOD = 0,
    CTLSIGN_PIN_COUNT_LOW = 1, /* a wrong one was entered since the last right one */
    CTLSIGN_PIN_FINAL_TRY = 2, /* the next wrong one locks the token */
    CTLSIGN_PIN_LOCKED = 3,
    CTLSIGN_PIN_NOT_SET = 4
};

enum {
    CTLSIGN_TOKEN_LOGIN_REQUIRED = 1,
    CTLSIGN_TOKEN_PIN_AT_READER = 2, /* a protected authentication path */
    CTLSIGN_TOKEN_WRITE_PROTECTED = 4,
    CTLSIGN_TOKEN_PIN_TO_BE_CHANGED = 8
};

typedef struct ctlsign_token_info {
    size_t size;
    const char* label;
    const char* serial;
    const char* manufacturer;
    const char* model;
    const char* hardware_version;
    const char* firmware_version;
    const char* uri;    /* RFC 7512, by label and serial: names it to ctlsign_signer_open_token() */
    const char* module; /* path of its module */
    unsigned long slot; /* may be another when it is put in again */
    unsigned flags;     /* CTLSIGN_TOKEN_... */
    ctlsign_pin_state pin;
    unsigned long min_pin; /* octets */
    unsigned long max_pin;
} ctlsign_token_info;

/* What is plugged in now, each token once. */
CTLSIGN_API ctlsign_status ctlsign_tokens_list(ctlsign_modules* modules, ctlsign_tokens** tokens,
                                               ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_tokens_count(ctlsign_tokens* tokens, size_t* count, ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_tokens_get(ctlsign_tokens* tokens, size_t index, ctlsign_token_info* info,
                                              ctlsign_error* error);

typedef struct ctlsign_pin_status {
    size_t size;
    ctlsign_pin_state state;
    long tries_left; /* -1 where the token does not count them */
    long tries_max;
} ctlsign_pin_status;

/* Asks the token, now. */
CTLSIGN_API ctlsign_status ctlsign_tokens_pin_status(ctlsign_tokens* tokens, size_t index,
                                                     ctlsign_pin_status* status, ctlsign_error* error);

typedef struct ctlsign_identity_info {
    size_t size;
    const char* label;
    const char* subject; /* "CN=...,O=..." */
    const char* issuer;
    ctlsign_view key_id;      /* CKA_ID */
    ctlsign_view certificate; /* DER */
    ctlsign_view serial;      /* of the certificate, as encoded */
    int64_t not_before;       /* Unix seconds */
    int64_t not_after;
    unsigned key_bits; /* of an RSA modulus or an EC field */
    int is_rsa;
    int is_sast;  /* named as security tokens are: "SAST-..." */
    int key_seen; /* a key with this key_id was; a public one suffices, private ones are often hidden */
} ctlsign_identity_info;

/* Every X.509 certificate that a token shows without login, an issuer's without a key included. */
CTLSIGN_API ctlsign_status ctlsign_identities_list(ctlsign_tokens* tokens, size_t index,
                                                   ctlsign_identities** identities, ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_identities_count(ctlsign_identities* identities, size_t* count,
                                                    ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_identities_get(ctlsign_identities* identities, size_t index,
                                                  ctlsign_identity_info* info, ctlsign_error* error);

/* ---- Tokens that arrive and leave ---- */

typedef int ctlsign_change;
enum { CTLSIGN_CHANGE_ARRIVED = 1, CTLSIGN_CHANGE_LEFT = 2 };

#define CTLSIGN_FOREVER UINT32_MAX

/* Watches from now on. What is plugged in already is told as arrived. */
CTLSIGN_API ctlsign_status ctlsign_watcher_open(ctlsign_modules* modules, ctlsign_watcher** watcher,
                                                ctlsign_error* error);
/* The next change, and the token in a list of one, which the caller closes. Waits for it;
 * CTLSIGN_STATUS_TIMEOUT after so many milliseconds, CTLSIGN_STATUS_STOPPED when it was stopped or closed. */
CTLSIGN_API ctlsign_status ctlsign_watcher_next(ctlsign_watcher* watcher, uint32_t timeout_ms,
                                                ctlsign_change* change, ctlsign_tokens** token,
                                                ctlsign_error* error);
/* Every ctlsign_watcher_next() returns at once, now and later. Not from a signal handler. */
CTLSIGN_API ctlsign_status ctlsign_watcher_stop(ctlsign_watcher* watcher, ctlsign_error* error);

/* ---- Signers ---- */

typedef int ctlsign_pin_kind;
enum {
    CTLSIGN_PIN_OF_TOKEN = 0,
    CTLSIGN_PIN_OF_FILE = 1,  /* the passphrase of a key file */
    CTLSIGN_PIN_AT_READER = 2 /* it is entered there: tell the person, and return at once */
};

typedef struct ctlsign_pin_request {
    size_t size;
    ctlsign_pin_kind kind;
    const char* subject; /* for people: the token with label and serial, or the file */
    const char* label;   /* of the token; NULL for a file */
    const char* serial;
    ctlsign_pin_state state;
    long tries_left; /* -1 where the token does not count them */
    long tries_max;
} ctlsign_pin_request;

/* Asks a person. Writes at most CAPACITY octets to PIN, no NUL needed, and their number to LENGTH, and
 * returns 0; anything else refuses. PIN is the library's: it moves the octets into protected memory and wipes
 * them. A copy of the caller's own is the caller's to wipe. Called once for each PIN: never again for one
 * that was rejected, until the next signature. PIN is NULL for CTLSIGN_PIN_AT_READER. */
typedef int (*ctlsign_pin_callback)(void* user, const ctlsign_pin_request* request, char* pin,
                                    size_t capacity, size_t* length);

/* The token is gone: asks a person to put it back within WAIT_MS. Returns 0, at once, to wait for it;
 * anything else gives up. Called once each time that it is gone. */
typedef int (*ctlsign_wait_callback)(void* user, const char* label, const char* serial, uint32_t wait_ms);

typedef struct ctlsign_signer_options {
    size_t size;
    ctlsign_pin_callback pin;   /* NULL: no PIN can be asked for */
    ctlsign_wait_callback wait; /* may be NULL */
    void* user;                 /* for both; they are called as long as the signer is open */
    uint32_t wait_ms;           /* for a token that is gone to come back */
    int use_final_try;          /* not 0: spend the last try before the token locks */
    ctlsign_view certificate;   /* PEM or DER, for a token or file that holds none */
} ctlsign_signer_options;

/* A key on a token or HSM. TOKEN is a PKCS#11 URI, a label or a serial number; NULL for the only one. Exactly
 * one token, and one key of it, must match. No PIN is asked for yet. OPTIONS may be NULL. */
CTLSIGN_API ctlsign_status ctlsign_signer_open_token(ctlsign_modules* modules, const char* token,
                                                     const ctlsign_signer_options* options,
                                                     ctlsign_signer** signer, ctlsign_error* error);
/* A key in a file: PEM, encrypted or not, with its certificate in it or beside it; or PKCS#12. */
CTLSIGN_API ctlsign_status ctlsign_signer_open_file(const char* path, const ctlsign_signer_options* options,
                                                    ctlsign_signer** signer, ctlsign_error* error);

typedef struct ctlsign_signer_info {
    size_t size;
    const char* description;  /* for people: the token, or the file */
    ctlsign_view certificate; /* DER */
    unsigned key_bits;
    size_t signature_length; /* octets, exact */
} ctlsign_signer_info;

CTLSIGN_API ctlsign_status ctlsign_signer_get(ctlsign_signer* signer, ctlsign_signer_info* info,
                                              ctlsign_error* error);
/* Asks for the PIN now, ahead of the first signature. */
CTLSIGN_API ctlsign_status ctlsign_signer_unlock(ctlsign_signer* signer, ctlsign_error* error);

typedef int ctlsign_digest;
enum { CTLSIGN_DIGEST_SHA1 = 1, CTLSIGN_DIGEST_SHA256 = 2, CTLSIGN_DIGEST_SHA512 = 3 };

/* RSASSA-PKCS1-v1_5 of MESSAGE, verified. The first one asks for the PIN. A token that was pulled is waited
 * for, found again, and asked once more. */
CTLSIGN_API ctlsign_status ctlsign_signer_sign(ctlsign_signer* signer, ctlsign_digest digest,
                                               ctlsign_view message, ctlsign_bytes* signature,
                                               ctlsign_error* error);

/* ---- Making files. What is made has been verified. ---- */

/* For a time: that of the manifest, where there is one, else now. */
#define CTLSIGN_TIME_DEFAULT ((int64_t)-1)

/* A manifest in TOML; the paths in it are relative to it, or to FOLDER. */
CTLSIGN_API ctlsign_status ctlsign_manifest_load(const char* path, ctlsign_manifest** manifest,
                                                 ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_manifest_decode(ctlsign_view toml, const char* folder,
                                                   ctlsign_manifest** manifest, ctlsign_error* error);

/* The trust list of MANIFEST, signed. TIMESTAMP is Unix seconds. */
CTLSIGN_API ctlsign_status ctlsign_list_build(ctlsign_manifest* manifest, ctlsign_signer* signer,
                                              int64_t timestamp, ctlsign_bytes* file, ctlsign_error* error);
/* LIST signed anew, its records as they stand, by another of its signers. */
CTLSIGN_API ctlsign_status ctlsign_list_resign(ctlsign_file* list, ctlsign_signer* signer, int64_t timestamp,
                                               ctlsign_bytes* file, ctlsign_error* error);
/* The octets that a signature made elsewhere must cover, and their digest. CERTIFICATE is the signer's, PEM
 * or DER. */
CTLSIGN_API ctlsign_status ctlsign_list_prepare(ctlsign_manifest* manifest, ctlsign_view certificate,
                                                int64_t timestamp, ctlsign_bytes* prepared,
                                                ctlsign_bytes* digest, ctlsign_error* error);
/* The finished list. CERTIFICATE checks the signature, else the signer's record in the list; DIGEST is the
 * approved one. Both may be nothing. */
CTLSIGN_API ctlsign_status ctlsign_list_attach(ctlsign_view prepared, ctlsign_view signature,
                                               ctlsign_view certificate, ctlsign_view digest,
                                               ctlsign_bytes* file, ctlsign_error* error);

typedef int ctlsign_name_style;
enum { CTLSIGN_NAME_CALLMANAGER = 0, CTLSIGN_NAME_CTL_CLIENT = 1, CTLSIGN_NAME_RFC4514 = 2 };

typedef int ctlsign_layout;
enum { CTLSIGN_LAYOUT_CUCM = 0, CTLSIGN_LAYOUT_OPEN_TOOLS = 1 };

typedef struct ctlsign_sgn_options {
    size_t size;
    const char* filename; /* as phones ask for it: "SEP001122334455.cnf.xml.sgn" */
    ctlsign_digest digest;
    ctlsign_name_style name_style;
    ctlsign_layout layout;
    int64_t timestamp; /* Unix seconds, or CTLSIGN_TIME_DEFAULT */
} ctlsign_sgn_options;

/* PAYLOAD behind a signed header: a .sgn file. */
CTLSIGN_API ctlsign_status ctlsign_sgn_sign(ctlsign_view payload, const ctlsign_sgn_options* options,
                                            ctlsign_signer* signer, ctlsign_bytes* file,
                                            ctlsign_error* error);

/* Puts OCTETS at PATH, whole or not at all, and on the disk before it returns. */
CTLSIGN_API ctlsign_status ctlsign_store(const char* path, ctlsign_view octets, ctlsign_error* error);

/* ---- Reading files ---- */

typedef int ctlsign_file_kind;
enum { CTLSIGN_FILE_LIST = 1, CTLSIGN_FILE_SGN = 2 };

/* CTL, ITL or .sgn; which one is seen from the octets. At most 16 MiB. */
CTLSIGN_API ctlsign_status ctlsign_file_decode(ctlsign_view octets, ctlsign_file** file,
                                               ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_file_load(const char* path, ctlsign_file** file, ctlsign_error* error);

typedef struct ctlsign_header {
    size_t size;
    ctlsign_file_kind kind;
    int version_major;
    int version_minor;
    int signer_version_major; /* -1 where there is none */
    int signer_version_minor;
    ctlsign_view signer_name; /* texts and numbers as stored, without a NUL */
    ctlsign_view signer_issuer;
    ctlsign_view signer_serial;
    ctlsign_digest digest;
    unsigned key_bits;
    ctlsign_view signature;
    ctlsign_view filename;
    int64_t timestamp;    /* Unix seconds */
    size_t header_length; /* as the file says */
    ctlsign_view octets;  /* the whole file */
    size_t record_count;  /* of a trust list */
    ctlsign_view payload; /* of a .sgn file: what is left when its header is stripped */
} ctlsign_header;

CTLSIGN_API ctlsign_status ctlsign_file_get_header(ctlsign_file* file, ctlsign_header* header,
                                                   ctlsign_error* error);

typedef struct ctlsign_record {
    size_t size;
    size_t position;       /* from the beginning of the file */
    int role;              /* 0 SAST, 1 CCM, 2 CCM+TFTP, 3 TFTP, 4 CAPF, 7 APP-SERVER, 21 TVS; -1 none */
    ctlsign_view dns_name; /* nothing where the record has none, here and below */
    ctlsign_view subject;
    ctlsign_view issuer;
    ctlsign_view serial;
    ctlsign_view public_key;  /* RSAPublicKey DER */
    ctlsign_view signature;   /* the certificate's own */
    ctlsign_view certificate; /* DER */
    ctlsign_view ip_address;
    ctlsign_view certificate_hash;
    int hash_algorithm; /* a ctlsign_digest, or 0 */
    int is_signer;      /* the header names it as the signer of the file */
    ctlsign_view octets;
} ctlsign_record;

CTLSIGN_API ctlsign_status ctlsign_file_get_record(ctlsign_file* file, size_t index, ctlsign_record* record,
                                                   ctlsign_error* error);

typedef struct ctlsign_element {
    size_t size;
    unsigned tag;
    unsigned depth;   /* an element inside another is one deeper, and follows it */
    size_t position;  /* of its tag, from the beginning of the file */
    const char* name; /* "SIGNERNAME"; "UNKNOWN" for a tag that is kept, but not known */
    ctlsign_view value;
} ctlsign_element;

#define CTLSIGN_HEADER SIZE_MAX

/* Every element as it stands in the file, of a record or, with CTLSIGN_HEADER, of the header. */
CTLSIGN_API ctlsign_status ctlsign_file_count_elements(ctlsign_file* file, size_t record, size_t* count,
                                                       ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_file_get_element(ctlsign_file* file, size_t record, size_t index,
                                                    ctlsign_element* element, ctlsign_error* error);

/* As `show ctl` prints it. MODIFIED is the time of the file as text, or NULL. */
CTLSIGN_API ctlsign_status ctlsign_file_show(ctlsign_file* file, const char* modified, ctlsign_bytes* text,
                                             ctlsign_error* error);

/* ---- Verifying ---- */

/* What is trusted: empty at first. Lists in the order in which a phone asks them, CTL before ITL;
 * certificates in PEM, as many as there are, or one in DER. */
CTLSIGN_API ctlsign_status ctlsign_anchors_open(ctlsign_anchors** anchors, ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_anchors_add_list(ctlsign_anchors* anchors, ctlsign_file* list,
                                                    ctlsign_error* error);
CTLSIGN_API ctlsign_status ctlsign_anchors_add_certificates(ctlsign_anchors* anchors,
                                                            ctlsign_view certificates, ctlsign_error* error);

/* Whether FILE is signed by whom it says. With no ANCHORS (NULL, or empty) a list is checked against itself,
 * which is no proof. NOW, in Unix seconds or CTLSIGN_TIME_DEFAULT, serves the warnings about expiry. An
 * answer of no is no error. */
CTLSIGN_API ctlsign_status ctlsign_file_verify(ctlsign_file* file, ctlsign_anchors* anchors, int64_t now,
                                               ctlsign_verdict** verdict, ctlsign_error* error);

typedef int ctlsign_outcome;
enum {
    CTLSIGN_OUTCOME_VERIFIED = 0,    /* the signature fits a key of the basis */
    CTLSIGN_OUTCOME_REFUSED = 1,     /* it does not, or a rule forbids the key */
    CTLSIGN_OUTCOME_KEY_NOT_HERE = 2 /* the signer is named, but no key of it was given */
};

typedef int ctlsign_basis;
enum {
    CTLSIGN_BASIS_FILE_ITSELF = 0, /* says nothing about trust */
    CTLSIGN_BASIS_CERTIFICATE = 1,
    CTLSIGN_BASIS_INSTALLED_LIST = 2
};

typedef struct ctlsign_verdict_info {
    size_t size;
    ctlsign_outcome outcome;
    ctlsign_basis basis;
    int trusted;              /* verified, and on another basis than the file itself */
    const char* rule;         /* that decided: "signature-fits", "signature-wrong", "signer-unknown", ... */
    const char* text;         /* one line for people */
    ctlsign_view signer_name; /* as the header names the signer */
    ctlsign_view signer_issuer;
    ctlsign_view signer_serial;
    long list;        /* which list of the anchors has the signer's record; -1 none, also below */
    long record;      /* that record, there or in the file */
    long certificate; /* which certificate of the anchors is the signer's */
    size_t warning_count;
} ctlsign_verdict_info;

CTLSIGN_API ctlsign_status ctlsign_verdict_get(ctlsign_verdict* verdict, ctlsign_verdict_info* info,
                                               ctlsign_error* error);

typedef struct ctlsign_warning {
    size_t size;
    const char* caution; /* "sha1", "key-below-2048", "signer-expired", ... */
    const char* text;    /* one line for people */
    long record;         /* that it is about; -1 none */
    int64_t value;       /* Unix seconds of expiry, key bits, octets: what it is about */
} ctlsign_warning;

CTLSIGN_API ctlsign_status ctlsign_verdict_get_warning(ctlsign_verdict* verdict, size_t index,
                                                       ctlsign_warning* warning, ctlsign_error* error);

#ifdef __cplusplus
}
#endif

#endif
