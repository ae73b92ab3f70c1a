#pragma once

#include <array>

namespace ctlsign::cluster {

/// "CTLs": how a cluster's database is told from other SQLite files.
inline constexpr int kApplicationId = 0x43544C73;

/// Each brings a database to the next user_version. What was released is never changed.
inline constexpr std::array kMigrations{
    R"sql(
CREATE TABLE processconfig(paramname TEXT PRIMARY KEY, paramvalue TEXT NOT NULL) STRICT;

CREATE TABLE node(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  address BLOB NOT NULL,
  publisher INTEGER NOT NULL CHECK(publisher IN (0, 1)),
  role INTEGER NOT NULL,
  target TEXT NOT NULL UNIQUE,
  host_key TEXT NOT NULL,
  identity TEXT
) STRICT;
CREATE UNIQUE INDEX one_publisher ON node(publisher) WHERE publisher = 1;

CREATE TABLE certificate(
  id INTEGER PRIMARY KEY,
  store TEXT NOT NULL,
  node INTEGER REFERENCES node(id) ON DELETE CASCADE,
  subject TEXT NOT NULL,
  serial TEXT NOT NULL,
  not_after INTEGER NOT NULL,
  der BLOB NOT NULL,
  key TEXT,
  known_since INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX own_certificate ON certificate(store, node) WHERE node IS NOT NULL;
CREATE UNIQUE INDEX trusted_certificate ON certificate(store, der) WHERE node IS NULL;

CREATE TABLE token(
  id INTEGER PRIMARY KEY,
  label TEXT NOT NULL,
  serial TEXT NOT NULL,
  der BLOB NOT NULL UNIQUE,
  state TEXT NOT NULL
) STRICT;

CREATE TABLE publication(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time INTEGER NOT NULL,
  operation TEXT NOT NULL,
  way TEXT NOT NULL,
  mode INTEGER NOT NULL,
  signer TEXT NOT NULL,
  md5 TEXT NOT NULL,
  sha1 TEXT NOT NULL,
  octets BLOB
) STRICT;
CREATE INDEX published ON publication(id) WHERE octets IS NOT NULL;

CREATE TABLE restart(
  service INTEGER NOT NULL,
  node INTEGER NOT NULL REFERENCES node(id) ON DELETE CASCADE,
  reason TEXT NOT NULL,
  PRIMARY KEY(service, node)
) STRICT;

CREATE TABLE audit(number INTEGER PRIMARY KEY, line TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_stands BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TABLE journal(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  step TEXT NOT NULL,
  started INTEGER NOT NULL,
  operation TEXT NOT NULL,
  way TEXT NOT NULL,
  mode INTEGER NOT NULL,
  signer TEXT NOT NULL,
  octets BLOB
) STRICT;
CREATE TABLE journal_node(
  node INTEGER PRIMARY KEY REFERENCES node(id) ON DELETE CASCADE,
  octets BLOB
) STRICT;
CREATE TABLE journal_token(
  label TEXT NOT NULL,
  serial TEXT NOT NULL,
  der BLOB NOT NULL UNIQUE,
  state TEXT NOT NULL
) STRICT;
)sql",
    R"sql(
ALTER TABLE certificate ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0;
UPDATE certificate SET unsettled = 1
  WHERE node IS NOT NULL AND known_since >= (SELECT max(id) FROM publication WHERE octets IS NOT NULL);
ALTER TABLE certificate DROP COLUMN known_since;
ALTER TABLE publication ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0;
)sql",
    R"sql(
CREATE TABLE journal_key(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  started INTEGER NOT NULL,
  store TEXT NOT NULL,
  node INTEGER NOT NULL REFERENCES node(id) ON DELETE CASCADE,
  der BLOB NOT NULL,
  path TEXT NOT NULL
) STRICT;
)sql",
};

}  // namespace ctlsign::cluster
