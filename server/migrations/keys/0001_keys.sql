-- One key a person, under the hash of the pseudonym: losing a row loses what it sealed, for good.
-- Back this file up apart from the main database, and keep its backups for days, not years.
CREATE TABLE person_keys (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    key  BLOB NOT NULL CHECK (length(key) = 32)
) STRICT, WITHOUT ROWID;

-- Who was erased, by the hash of the pseudonym. Here rather than in the main database, so that a
-- restored backup of that one does not bring anybody back.
CREATE TABLE tombstones (
    hash           BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    erased_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
