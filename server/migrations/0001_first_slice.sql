-- Ids are the 16 bytes of a UUID, times are Unix milliseconds, `number` is the order of arrival.

-- Every id the server has taken, with the digest of its body. Separate from what it stores: the
-- answer to a repeated item must not depend on how (or how long) its content is kept.
CREATE TABLE received (
    id               BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    digest           BLOB NOT NULL CHECK (length(digest) = 32),
    received_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE consents (
    number           INTEGER PRIMARY KEY,
    id               BLOB NOT NULL UNIQUE REFERENCES received (id),
    person           BLOB NOT NULL CHECK (length(person) = 16),
    device           BLOB NOT NULL CHECK (length(device) = 16),
    epoch            INTEGER NOT NULL CHECK (epoch >= 0),
    state            TEXT NOT NULL CHECK (state IN ('given', 'paused', 'withdrawn')),
    received_unix_ms INTEGER NOT NULL,
    record           TEXT NOT NULL
) STRICT;

CREATE INDEX consents_by_epoch ON consents (person, device, epoch);

-- An epoch says one thing. A withdrawal is exempt: it is never turned away on a formality.
CREATE UNIQUE INDEX consents_one_per_epoch ON consents (person, device, epoch)
    WHERE state <> 'withdrawn';

CREATE TABLE events (
    number              INTEGER PRIMARY KEY,
    id                  BLOB NOT NULL UNIQUE REFERENCES received (id),
    kind                TEXT NOT NULL,
    person              BLOB NOT NULL CHECK (length(person) = 16),
    device              BLOB NOT NULL CHECK (length(device) = 16),
    session             BLOB NOT NULL CHECK (length(session) = 16),
    sequence            INTEGER NOT NULL CHECK (sequence >= 1),
    consent_record      BLOB NOT NULL REFERENCES consents (id),
    consent_epoch       INTEGER NOT NULL,
    at_unix_ms          INTEGER NOT NULL, -- by the device's clock
    at_session_ms       INTEGER NOT NULL,
    received_unix_ms    INTEGER NOT NULL, -- by the server's clock
    clock_correction_ms INTEGER NOT NULL, -- add to at_unix_ms for the server's clock
    payload             TEXT NOT NULL     -- the event as sent, JSON
) STRICT;

CREATE INDEX events_by_person ON events (person, device, consent_epoch);
CREATE INDEX events_by_session ON events (session, at_session_ms);

CREATE TABLE outcomes (
    number           INTEGER PRIMARY KEY,
    id               BLOB NOT NULL UNIQUE REFERENCES received (id),
    kind             TEXT NOT NULL,
    person           BLOB NOT NULL CHECK (length(person) = 16),
    device           BLOB NOT NULL CHECK (length(device) = 16),
    session          BLOB NOT NULL CHECK (length(session) = 16),
    consent_record   BLOB NOT NULL REFERENCES consents (id),
    consent_epoch    INTEGER NOT NULL,
    at_unix_ms       INTEGER NOT NULL,
    received_unix_ms INTEGER NOT NULL,
    payload          TEXT NOT NULL
) STRICT;

CREATE INDEX outcomes_by_person ON outcomes (person, device, consent_epoch);
CREATE INDEX outcomes_by_session ON outcomes (session);
