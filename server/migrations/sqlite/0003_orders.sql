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

-- What was not sure enough to ask for: shown on the page, and kept so that misses can be studied.
CREATE TABLE suggestions (
    id           BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person       BLOB NOT NULL REFERENCES subjects (person),
    made_unix_ms INTEGER NOT NULL,
    nonce        BLOB NOT NULL CHECK (length(nonce) = 12),
    sealed       BLOB NOT NULL         -- orders::person::Suggestion, JSON
) STRICT, WITHOUT ROWID;

CREATE INDEX suggestions_by_person ON suggestions (person, made_unix_ms);
CREATE INDEX suggestions_by_time ON suggestions (made_unix_ms);
