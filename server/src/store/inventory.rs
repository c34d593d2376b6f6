//! Every table, and what it holds about a person: export and erasure go by this list, and a test
//! compares it with the tables there are.

/// A table of one of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Which file it is in.
    pub database: Database,
    /// What it holds.
    pub holds: Holds,
}

/// The files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// The main database.
    Main,
    /// The people's keys.
    Keys,
}

/// What a table holds about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Rows that are a person's: exported and erased.
    Rows {
        /// The columns that name a person, or what is theirs.
        naming: &'static [&'static str],
        /// Which rows are the person's: SQL, with the pseudonym as `$1`.
        whose: &'static str,
        /// Which rows erasure deletes, in the order of this list.
        erased: &'static str,
        /// The column that seals `sealed` to its row, where there is a sealed body.
        sealed_to: Option<&'static str>,
    },
    /// Rows about a person, who is named by a hash in this column: exported, kept for the reason.
    Hashed(&'static str, &'static str),
    /// Nothing that is about a person, for the reason.
    Nothing(&'static str),
}

/// The condition of tables whose rows are one person's each.
pub(super) const OF_PERSON: &str = "person = $1";

/// A table of the main database whose rows are one person's each, by `person`.
const fn of_person(
    name: &'static str,
    naming: &'static [&'static str],
    sealed_to: Option<&'static str>,
) -> Table {
    let holds = Holds::Rows { naming, whose: OF_PERSON, erased: OF_PERSON, sealed_to };
    Table { name, database: Database::Main, holds }
}

/// In the order of erasure: what refers to a row goes before it.
pub const TABLES: &[Table] = &[
    of_person("order_events", &["id", "person", "order_id"], Some("id")),
    of_person("orders", &["id", "person"], None),
    of_person("order_people", &["person"], Some("person")),
    of_person("suggestions", &["person"], Some("person")),
    of_person("consumption", &["person"], Some("person")),
    of_person("needs", &["person"], Some("person")),
    of_person("forecasts", &["person"], Some("person")),
    of_person("predictions", &["person"], Some("person")),
    of_person("profiles", &["person"], Some("person")),
    of_person("taken", &["person", "fact", "key"], None),
    of_person("facts", &["id", "person"], Some("id")),
    of_person("statements", &["person"], None),
    of_person("identifiers", &["person", "hash"], None),
    of_person("subjects", &["person", "hash", "root"], None),
    of_person("events", &["id", "person", "device", "session", "consent_record"], Some("id")),
    of_person("received", &["id", "person", "device"], None),
    of_person("receipts", &["record", "person", "device"], Some("digest")),
    of_person("people", &["person", "hash", "device"], None),
    Table {
        name: "devices",
        database: Database::Main,
        holds: Holds::Rows {
            naming: &["device", "key"],
            whose: "device = (SELECT device FROM people WHERE person = $1)",
            // A device that others use stays; $1 is bound, and not needed.
            erased: "$1 IS NOT NULL AND device NOT IN (SELECT device FROM people)",
            sealed_to: None,
        },
    },
    Table {
        name: "audit",
        database: Database::Main,
        holds: Holds::Hashed("about", "proof of what was done, until its own retention ends"),
    },
    Table {
        name: "audit_anchor",
        database: Database::Main,
        holds: Holds::Nothing("a number and a hash over audit rows"),
    },
    Table {
        name: "requests",
        database: Database::Main,
        holds: Holds::Nothing("counts of rows by reason"),
    },
    Table {
        name: "quarantine",
        database: Database::Main,
        holds: Holds::Nothing("row numbers and reasons, no content"),
    },
    Table {
        name: "circumstances",
        database: Database::Main,
        holds: Holds::Nothing("weather and events of places"),
    },
    Table {
        name: "rollups",
        database: Database::Main,
        holds: Holds::Nothing(
            "sums over everybody, by day: they stay after an erasure and end by their age; small \
             ones are not given out",
        ),
    },
    Table {
        name: "need_checks",
        database: Database::Main,
        holds: Holds::Nothing("how often what was foretold came, day by day"),
    },
    Table {
        name: "models",
        database: Database::Main,
        holds: Holds::Nothing("fitted models and how they were fitted"),
    },
    Table {
        name: "jobs",
        database: Database::Main,
        holds: Holds::Nothing("work of the server itself"),
    },
    Table {
        name: "api_keys",
        database: Database::Main,
        holds: Holds::Nothing("keys of programs, hashed"),
    },
    Table {
        name: "person_keys",
        database: Database::Keys,
        holds: Holds::Nothing("random keys under hashes; erasure deletes the person's"),
    },
    Table {
        name: "tombstones",
        database: Database::Keys,
        holds: Holds::Nothing("hashes of who was erased, so that they stay erased"),
    },
];
