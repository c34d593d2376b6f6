-- Orders that wait for a person's word. What an order is, is its events: the row beside them is what
-- has to be found without opening them. Rows are a node's, as all that is sealed under its key is.

CREATE TABLE orders (
    id               BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person           BYTEA NOT NULL REFERENCES subjects (person),
    status           TEXT NOT NULL,
    events           BIGINT NOT NULL, -- how many there are
    made_unix_ms     BIGINT NOT NULL,
    changed_unix_ms  BIGINT NOT NULL,
    approved_unix_ms BIGINT,          -- from when on its total counts against the limits
    due_unix_ms      BIGINT,          -- when the time has to be looked at
    wanted_unix_ms   BIGINT           -- when what is wanted for it has to be tried (again)
);

CREATE INDEX orders_by_person ON orders (person, made_unix_ms);
CREATE INDEX orders_by_due ON orders (due_unix_ms) WHERE due_unix_ms IS NOT NULL;
CREATE INDEX orders_by_wanted ON orders (wanted_unix_ms) WHERE wanted_unix_ms IS NOT NULL;

CREATE TABLE order_events (
    id           BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    order_id     BYTEA NOT NULL REFERENCES orders (id),
    number       BIGINT NOT NULL,     -- from 0
    person       BYTEA NOT NULL REFERENCES subjects (person),
    at_unix_ms   BIGINT NOT NULL,
    nonce        BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed       BYTEA NOT NULL,        -- orders::life::Event, JSON
    UNIQUE (order_id, number)
);

CREATE INDEX order_events_by_person ON order_events (person);

-- How a person wants to be asked, where they are reached, and what their answers taught.
CREATE TABLE order_people (
    person          BYTEA NOT NULL PRIMARY KEY REFERENCES subjects (person),
    changed_unix_ms BIGINT NOT NULL,
    nonce           BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed          BYTEA NOT NULL      -- orders::person::Wishes, JSON
);

-- What was not sure enough to ask for, when somebody's needs were last looked at.
CREATE TABLE suggestions (
    person       BYTEA NOT NULL PRIMARY KEY REFERENCES subjects (person),
    made_unix_ms BIGINT NOT NULL,
    nonce        BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed       BYTEA NOT NULL         -- orders::person::Suggestion, a list, JSON
);

CREATE INDEX suggestions_by_time ON suggestions (made_unix_ms);

-- What a person buys and how often: made from facts, in the transaction that stores them.
CREATE TABLE consumption (
    person       BYTEA NOT NULL PRIMARY KEY REFERENCES subjects (person),
    nonce        BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed       BYTEA NOT NULL         -- models::reorder::Consumption, JSON
);

-- What was foretold of people's needs, asked for or not and why: kept until it can be checked, and
-- for misses to be studied.
CREATE TABLE needs (
    person       BYTEA NOT NULL REFERENCES subjects (person),
    made_unix_ms BIGINT NOT NULL,
    nonce        BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed       BYTEA NOT NULL,        -- orders::need::Said, a list, JSON
    PRIMARY KEY (person, made_unix_ms)
);

CREATE INDEX needs_by_time ON needs (made_unix_ms);

-- What came of that, day by day: numbers about nobody.
CREATE TABLE need_checks (
    made_unix_ms    BIGINT NOT NULL PRIMARY KEY,
    checked_unix_ms BIGINT NOT NULL,
    body            TEXT NOT NULL         -- orders::outcome::Check, JSON
);

-- Profiles are made anew, for purchases are taken from facts by them.
DELETE FROM jobs WHERE kind = 'definitions';
