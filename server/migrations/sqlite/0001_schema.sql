-- Ids are the 16 bytes of a UUID, digests the 32 bytes of a SHA-256, times are Unix milliseconds,
-- `number` is the order of arrival. A sealed body is AES-256-GCM under the person's own key, which
-- lives in another file (keys.sqlite3): without it the body is noise.
--
-- Every table and every column that names a person is listed in src/store/inventory.rs, from which
-- export and erasure are driven; a test compares the two.

-- Made by the first receipt that is accepted of a device. `last_request` only grows.
CREATE TABLE devices (
    device             BLOB NOT NULL PRIMARY KEY CHECK (length(device) = 16),
    key                BLOB NOT NULL CHECK (length(key) = 32),
    last_request       INTEGER NOT NULL,
    dropped            INTEGER NOT NULL DEFAULT 0, -- items the device gave up, by its own count
    first_seen_unix_ms INTEGER NOT NULL,
    last_seen_unix_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A pseudonym belongs to the device that brought it first.
CREATE TABLE people (
    person             BLOB NOT NULL PRIMARY KEY CHECK (length(person) = 16),
    hash               BLOB NOT NULL UNIQUE CHECK (length(hash) = 32), -- of the pseudonym
    device             BLOB NOT NULL REFERENCES devices (device),
    first_seen_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX people_by_device ON people (device);

CREATE TABLE receipts (
    number           INTEGER PRIMARY KEY,
    digest           BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    previous         BLOB NOT NULL CHECK (length(previous) = 32),
    record           BLOB NOT NULL CHECK (length(record) = 16),
    person           BLOB NOT NULL REFERENCES people (person),
    device           BLOB NOT NULL REFERENCES devices (device),
    epoch            INTEGER NOT NULL CHECK (epoch >= 1),
    state            TEXT NOT NULL CHECK (state IN ('given', 'paused', 'withdrawn')),
    linked           INTEGER NOT NULL CHECK (linked IN (0, 1)), -- 1: every receipt before it is here
    received_unix_ms INTEGER NOT NULL,
    nonce            BLOB NOT NULL CHECK (length(nonce) = 12),
    sealed           BLOB NOT NULL                              -- the receipt as sent, JSON
) STRICT;

CREATE INDEX receipts_by_epoch ON receipts (person, device, epoch);

-- An epoch says one thing. A withdrawal out of place is exempt: a No is never turned away.
CREATE UNIQUE INDEX receipts_one_per_epoch ON receipts (person, device, epoch) WHERE linked = 1;

-- Every event the server has taken, with the digest of its body. Separate from what it stores: the
-- answer to a repeated event must not depend on how (or how long) its content is kept.
CREATE TABLE received (
    id               BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person           BLOB NOT NULL REFERENCES people (person),
    device           BLOB NOT NULL REFERENCES devices (device),
    consent_epoch    INTEGER NOT NULL,
    digest           BLOB NOT NULL CHECK (length(digest) = 32),
    received_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX received_by_person ON received (person, device, consent_epoch);
CREATE INDEX received_by_time ON received (received_unix_ms);

CREATE TABLE events (
    number               INTEGER PRIMARY KEY,
    id                   BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind                 TEXT NOT NULL,
    person               BLOB NOT NULL REFERENCES people (person),
    device               BLOB NOT NULL REFERENCES devices (device),
    session              BLOB NOT NULL CHECK (length(session) = 16),
    sequence             INTEGER NOT NULL CHECK (sequence >= 1),
    consent_record       BLOB NOT NULL CHECK (length(consent_record) = 16),
    consent_epoch        INTEGER NOT NULL,
    at_unix_ms           INTEGER NOT NULL, -- by the device's clock
    at_session_ms        INTEGER NOT NULL,
    at_corrected_unix_ms INTEGER NOT NULL, -- by the server's clock
    received_unix_ms     INTEGER NOT NULL, -- by the server's clock
    nonce                BLOB NOT NULL CHECK (length(nonce) = 12),
    sealed               BLOB NOT NULL     -- the event as sent, JSON
) STRICT;

CREATE INDEX events_by_person ON events (person, device, consent_epoch);
CREATE INDEX events_by_session ON events (session, at_session_ms);
CREATE INDEX events_by_time ON events (kind, received_unix_ms);

-- What was done, by whom, about whom. Each row names the hash of the row before it.
CREATE TABLE audit (
    number     INTEGER PRIMARY KEY,
    at_unix_ms INTEGER NOT NULL,
    actor      TEXT NOT NULL CHECK (actor IN ('device', 'operator', 'server')),
    action     TEXT NOT NULL,
    about      BLOB CHECK (about IS NULL OR length(about) = 32), -- hash of the pseudonym
    result     TEXT NOT NULL,
    hash       BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_by_subject ON audit (about);

-- Where the rows that are kept begin: only what lies at or before it can be deleted, and it never
-- goes back.
CREATE TABLE audit_anchor (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash   BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

INSERT INTO audit_anchor VALUES (1, 0, zeroblob(32));

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN OLD.number > (SELECT number FROM audit_anchor)
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_anchor_stays BEFORE DELETE ON audit_anchor
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_anchor_only_grows BEFORE UPDATE ON audit_anchor
WHEN NEW.number < OLD.number
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
