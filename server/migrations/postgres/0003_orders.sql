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

-- What was not sure enough to ask for: shown on the page, and kept so that misses can be studied.
CREATE TABLE suggestions (
    id           BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person       BYTEA NOT NULL REFERENCES subjects (person),
    made_unix_ms BIGINT NOT NULL,
    nonce        BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed       BYTEA NOT NULL         -- orders::person::Suggestion, JSON
);

CREATE INDEX suggestions_by_person ON suggestions (person, made_unix_ms);
CREATE INDEX suggestions_by_time ON suggestions (made_unix_ms);
