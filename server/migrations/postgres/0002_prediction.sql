-- What the server predicts from. A person here is a *node*: everything about them is sealed under
-- the node's own key, and stays there. Nodes that turn out to be one person are linked by a common
-- `root`; taking the link away again loses nothing.

CREATE TABLE subjects (
    person             BYTEA NOT NULL PRIMARY KEY CHECK (length(person) = 16),
    hash               BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32), -- of the pseudonym
    root               BYTEA NOT NULL CHECK (length(root) = 16),        -- itself, if not linked
    first_seen_unix_ms BIGINT NOT NULL
);

CREATE INDEX subjects_by_root ON subjects (root);

-- By what a person is recognised: the SHA-256 of an e-mail address, a phone number, an id.
CREATE TABLE identifiers (
    kind           TEXT NOT NULL,
    hash           BYTEA NOT NULL CHECK (length(hash) = 32),
    person         BYTEA NOT NULL REFERENCES subjects (person),
    linked_unix_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, hash)
);

CREATE INDEX identifiers_by_person ON identifiers (person);

-- What the person last said about a source of data, as the operator passes it on: the newest Yes,
-- and the newest No, which stays in force for what is older than it.
CREATE TABLE statements (
    person           BYTEA NOT NULL REFERENCES subjects (person),
    scope            TEXT NOT NULL,
    granted          BIGINT NOT NULL CHECK (granted IN (0, 1)),
    at_unix_ms       BIGINT NOT NULL,
    received_unix_ms BIGINT NOT NULL,
    PRIMARY KEY (person, scope, granted)
);

-- The time series, in parts of 30 days by the time of the event: the server makes them as facts come
-- in, or TimescaleDB does. Facts of a time that has no part lie in facts_rest.
DO $$
DECLARE
    columns CONSTANT text := 'CREATE TABLE facts (
        id            BYTEA NOT NULL CHECK (length(id) = 16),
        person        BYTEA NOT NULL REFERENCES subjects (person),
        source        TEXT NOT NULL,
        at_unix_ms    BIGINT NOT NULL,
        known_unix_ms BIGINT NOT NULL,
        nonce         BYTEA NOT NULL CHECK (length(nonce) = 12),
        sealed        BYTEA NOT NULL, -- models::profile::Fact, JSON
        PRIMARY KEY (id, at_unix_ms)
    )';
    extended boolean := EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb');
BEGIN
    -- Asking for the extension where it is not loaded would end the connection; where it is, it has
    -- this setting.
    IF NOT extended AND current_setting('timescaledb.disable_load', true) IS NOT NULL THEN
        BEGIN
            CREATE EXTENSION timescaledb;
            extended := true;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'TimescaleDB is there, and this user may not use it';
        END;
    END IF;
    IF extended THEN
        EXECUTE columns;
        PERFORM create_hypertable('facts', 'at_unix_ms', chunk_time_interval => 2592000000::bigint,
            create_default_indexes => false);
    ELSE
        EXECUTE columns || ' PARTITION BY RANGE (at_unix_ms)';
        CREATE TABLE facts_rest PARTITION OF facts DEFAULT;
    END IF;
END $$;

CREATE INDEX facts_by_person ON facts (person, known_unix_ms);
CREATE INDEX facts_by_known ON facts (known_unix_ms, id);
CREATE INDEX facts_by_age ON facts (source, id); -- an id begins with the time of arrival

-- What was taken, by the sender's own key (destination and transaction id, hashed): a repetition is
-- recognised by it, an adjustment finds what it is about.
CREATE TABLE taken (
    key              BYTEA NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    fact             BYTEA NOT NULL CHECK (length(fact) = 16),
    at_unix_ms       BIGINT NOT NULL,
    person           BYTEA NOT NULL REFERENCES subjects (person),
    digest           BYTEA NOT NULL CHECK (length(digest) = 32), -- of the row as sent
    retracted        BIGINT NOT NULL DEFAULT 0 CHECK (retracted IN (0, 1)),
    received_unix_ms BIGINT NOT NULL
);

CREATE INDEX taken_by_person ON taken (person);

-- A request to take something in, and how it went: counts by reason, no content.
CREATE TABLE requests (
    id               BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind             TEXT NOT NULL,
    received_unix_ms BIGINT NOT NULL,
    status           TEXT NOT NULL -- JSON
);

-- Rows that were not taken, and why. Their content stays with whoever sent them.
CREATE TABLE quarantine (
    request          BYTEA NOT NULL REFERENCES requests (id),
    row              BIGINT NOT NULL,
    reason           TEXT NOT NULL,
    detail           TEXT NOT NULL,
    received_unix_ms BIGINT NOT NULL,
    PRIMARY KEY (request, row)
);

-- Circumstances of a place: about nobody.
CREATE TABLE circumstances (
    place            TEXT NOT NULL,
    name             TEXT NOT NULL,
    at_unix_ms       BIGINT NOT NULL,
    known_unix_ms    BIGINT NOT NULL,
    number           DOUBLE PRECISION NOT NULL,
    received_unix_ms BIGINT NOT NULL,
    PRIMARY KEY (place, name, at_unix_ms, known_unix_ms)
);

-- How much of what, a day: about nobody.
CREATE TABLE rollups (
    day         BIGINT NOT NULL, -- days since 1970-01-01, UTC, of the event
    source      TEXT NOT NULL,
    name        TEXT NOT NULL,
    currency    TEXT NOT NULL,    -- '' where nothing has a value
    facts       BIGINT NOT NULL,
    value_minor BIGINT NOT NULL,
    PRIMARY KEY (day, source, name, currency)
);

-- The feature store's state of a person (a root), kept up to date as facts come in.
CREATE TABLE profiles (
    person          BYTEA NOT NULL PRIMARY KEY REFERENCES subjects (person),
    changed_unix_ms BIGINT NOT NULL,
    due_unix_ms     BIGINT NOT NULL, -- when it is to be scored at the latest
    stale           BIGINT NOT NULL DEFAULT 0 CHECK (stale IN (0, 1)), -- 1: facts of it have expired
    nonce           BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed          BYTEA NOT NULL     -- models::profile::Profile, JSON
);

CREATE INDEX profiles_by_due ON profiles (due_unix_ms);
CREATE INDEX profiles_stale ON profiles (person) WHERE stale = 1;

-- The newest prediction of a person (a root).
CREATE TABLE predictions (
    person         BYTEA NOT NULL PRIMARY KEY REFERENCES subjects (person),
    model          TEXT NOT NULL,
    scored_unix_ms BIGINT NOT NULL,
    nonce          BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed         BYTEA NOT NULL      -- models::conversion::Prediction, JSON
);

-- What models said, to be compared with what happened: champions' and challengers'.
CREATE TABLE forecasts (
    model       TEXT NOT NULL,
    as_of_unix_ms BIGINT NOT NULL,
    person      BYTEA NOT NULL REFERENCES subjects (person),
    nonce       BYTEA NOT NULL CHECK (length(nonce) = 12),
    sealed      BYTEA NOT NULL,
    PRIMARY KEY (model, as_of_unix_ms, person)
);

CREATE INDEX forecasts_by_person ON forecasts (person);
CREATE INDEX forecasts_by_time ON forecasts (as_of_unix_ms);

-- The registry of models, with the models themselves.
CREATE TABLE models (
    id              TEXT NOT NULL PRIMARY KEY,
    kind            TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('champion', 'challenger', 'retired', 'rejected')),
    created_unix_ms BIGINT NOT NULL,
    lineage         TEXT NOT NULL, -- JSON: data window, features, seed, scores
    bundle          BYTEA NOT NULL
);

-- Work to be done once, by whoever leases it.
CREATE TABLE jobs (
    id              BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind            TEXT NOT NULL,
    payload         TEXT NOT NULL, -- JSON
    due_unix_ms     BIGINT NOT NULL,
    leased_until_unix_ms BIGINT NOT NULL DEFAULT 0,
    attempts        BIGINT NOT NULL DEFAULT 0,
    done_unix_ms    BIGINT,
    result          TEXT
);

CREATE INDEX jobs_by_due ON jobs (due_unix_ms);

-- Operators' programs. The key itself is known to its holder alone.
CREATE TABLE api_keys (
    id                BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name              TEXT NOT NULL,
    hash              BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes            TEXT NOT NULL, -- names, space between
    created_unix_ms   BIGINT NOT NULL,
    expires_unix_ms   BIGINT,
    revoked_unix_ms   BIGINT,
    last_used_unix_ms BIGINT,
    replaces          BYTEA          -- the key that this one takes over from
);
