-- Orders that wait for a person's word. What an order is, is its events: the row beside them is what
-- has to be found without opening them. Rows are a node's, as all that is sealed under its key is.

CREATE TABLE orders (
    id               BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person           BLOB NOT NULL REFERENCES subjects (person),
    status           TEXT NOT NULL,
    events           INTEGER NOT NULL, -- how many there are
    made_unix_ms     INTEGER NOT NULL,
    changed_unix_ms  INTEGER NOT NULL,
    approved_unix_ms INTEGER,          -- from when on its total counts against the limits
    due_unix_ms      INTEGER,          -- when the time has to be looked at
    wanted_unix_ms   INTEGER           -- when what is wanted for it has to be tried (again)
) STRICT, WITHOUT ROWID;

CREATE INDEX orders_by_person ON orders (person, made_unix_ms);
CREATE INDEX orders_by_due ON orders (due_unix_ms) WHERE due_unix_ms IS NOT NULL;
CREATE INDEX orders_by_wanted ON orders (wanted_unix_ms) WHERE wanted_unix_ms IS NOT NULL;

CREATE TABLE order_events (
    id           BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    order_id     BLOB NOT NULL REFERENCES orders (id),
    number       INTEGER NOT NULL,     -- from 0
    person       BLOB NOT NULL REFERENCES subjects (person),
    at_unix_ms   INTEGER NOT NULL,
    nonce        BLOB NOT NULL CHECK (length(nonce) = 12),
    sealed       BLOB NOT NULL,        -- orders::life::Event, JSON
    UNIQUE (order_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX order_events_by_person ON order_events (person);

-- How a person wants to be asked, where they are reached, and what their answers taught.
CREATE TABLE order_people (
    person          BLOB NOT NULL PRIMARY KEY REFERENCES subjects (person),
    changed_unix_ms INTEGER NOT NULL,
    nonce           BLOB NOT NULL CHECK (length(nonce) = 12),
    sealed          BLOB NOT NULL      -- orders::person::Wishes, JSON
) STRICT, WITHOUT ROWID;

-- What was not sure enough to ask for, when somebody's needs were last looked at.
CREATE TABLE suggestions (
    person       BLOB NOT NULL PRIMARY KEY REFERENCES subjects (person),
    made_unix_ms INTEGER NOT NULL,
    nonce        BLOB NOT NULL CHECK (length(nonce) = 12),
    sealed       BLOB NOT NULL         -- orders::person::Suggestion, a list, JSON
) STRICT, WITHOUT ROWID;

CREATE INDEX suggestions_by_time ON suggestions (made_unix_ms);

-- What a person buys and how often: made from facts, in the transaction that stores them.
CREATE TABLE consumption (
    person       BLOB NOT NULL PRIMARY KEY REFERENCES subjects (person),
    nonce        BLOB NOT NULL CHECK (length(nonce) = 12),
    sealed       BLOB NOT NULL         -- models::reorder::Consumption, JSON
) STRICT, WITHOUT ROWID;

-- What was foretold of people's needs, asked for or not and why: kept until it can be checked, and
-- for misses to be studied.
CREATE TABLE needs (
    person       BLOB NOT NULL REFERENCES subjects (person),
    made_unix_ms INTEGER NOT NULL,
    nonce        BLOB NOT NULL CHECK (length(nonce) = 12),
    sealed       BLOB NOT NULL,        -- orders::need::Said, a list, JSON
    PRIMARY KEY (person, made_unix_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX needs_by_time ON needs (made_unix_ms);

-- What came of that, day by day: numbers about nobody.
CREATE TABLE need_checks (
    made_unix_ms    INTEGER NOT NULL PRIMARY KEY,
    checked_unix_ms INTEGER NOT NULL,
    body            TEXT NOT NULL         -- orders::outcome::Check, JSON
) STRICT, WITHOUT ROWID;

-- Profiles are made anew, for purchases are taken from facts by them.
DELETE FROM jobs WHERE kind = 'definitions';
