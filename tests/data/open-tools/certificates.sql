CREATE TABLE certificates (
  certificate_hash TEXT PRIMARY KEY, serial_number TEXT NOT NULL, subject_name TEXT NOT NULL, issuer_name TEXT NOT NULL,
  certificate TEXT NOT NULL, roles TEXT NOT NULL, ttl INTEGER) WITHOUT ROWID;
