//! C15 and C16: a copy, an end, and an end by itself.

use crate::support::{Device, Running, check_problem, config, consents, embedded, now_unix_ms};
use protocol::{
    consent::{Head, Modality},
    event::{EventBody, Verdict},
    offer::Rule,
    problem::ErrorCode,
};
use reqwest::{Method, StatusCode};
use server::{DATABASE_FILE_NAME, Database, Holds, RetentionConfig, Server, Table, privacy};
use sqlx::{AssertSqlSafe, Connection};
use std::{collections::BTreeMap, path::Path};
use tempfile::TempDir;
use uuid::Uuid;

const CANARY: &str = "canary-in-the-coal-mine";
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A device with rows in every table that holds something about its person.
async fn filled(server: &Running) -> Device {
    let mut device = Device::new();
    let given = device.give(&[Modality::Eda, Modality::Behaviour]);
    server.consent(&device, &[given]).await;
    let mut revised = device.revised(Rule::Reassure, 18_990);
    if let EventBody::OfferRevised(revision) = &mut revised.body {
        revision.reason = CANARY.into();
    }
    let mut events = vec![device.started(), device.intent([0.25; 4]), revised, device.purchased()];
    events.extend((0..40).map(|_| device.eda()));
    let verdicts = server.events(&device, &events).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Stored));
    device
}

async fn export(server: &Running, device: &Device) -> serde_json::Value {
    let path = format!("/v1/people/{}/export", device.person);
    let answer = server.ask(device, Method::GET, &path, vec![]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn erase(server: &Running, device: &Device) -> reqwest::Response {
    server.ask(device, Method::DELETE, &format!("/v1/people/{}", device.person), vec![]).await
}

/// Columns whose names say that they may name a person, or what is theirs.
fn person_like(column: &str) -> bool {
    let words = [
        "person", "people", "device", "user", "customer", "session", "name", "mail", "address",
        "phone", "subject", "about", "hash", "key", "record", "token", "ip",
    ];
    // Times are not names.
    !column.ends_with("_ms")
        && (column == "id" || column.split('_').any(|word| words.contains(&word)))
}

#[tokio::test]
async fn c15_every_table_and_column_is_in_the_inventory() {
    let server = Running::start().await;
    let keys = crate::support::keys(server.folder.path()).await;
    for (mut database, which) in [(server.database().await, Database::Main), (keys, Database::Keys)]
    {
        let mut tables = crate::support::tables(&mut database).await;
        let listed = |table: &&Table| table.database == which;
        let mut known: Vec<_> = privacy::inventory().iter().filter(listed).collect();
        known.sort_by_key(|table| table.name);
        tables.sort();
        assert_eq!(known.iter().map(|table| table.name).collect::<Vec<_>>(), tables);
        for table in known {
            let columns = crate::support::columns(&mut database, table.name).await;
            let said: Vec<&str> = match table.holds {
                Holds::Rows { naming, .. } => naming.to_vec(),
                Holds::Hashed(column, reason) => {
                    assert!(!reason.is_empty());
                    vec![column, "hash"]
                }
                Holds::Nothing(reason) => {
                    assert!(!reason.is_empty(), "{} says why", table.name);
                    // Keys and tombstones stand under hashes, things have ids and names: which the
                    // reason says.
                    vec!["hash", "key", "id", "name"]
                }
            };
            for column in columns.iter().filter(|column| person_like(column)) {
                assert!(said.contains(&column.as_str()), "{}.{column} is not listed", table.name);
            }
        }
    }
}

#[tokio::test]
async fn c15_the_export_is_complete() {
    let server = Running::start().await;
    let device = filled(&server).await;
    let other = filled(&server).await;
    let export = export(&server, &device).await;
    let counts: BTreeMap<_, _> = export["tables"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(table, rows)| (table.as_str(), rows.as_array().unwrap().len()))
        .filter(|(_, count)| *count > 0)
        .collect();
    let expected = [
        ("audit", 2),
        ("devices", 1),
        ("events", 44),
        ("people", 1),
        ("received", 44),
        ("receipts", 1),
    ];
    assert_eq!(counts, expected.into());
    let text = export.to_string();
    assert!(text.contains(CANARY) && text.contains("eda_scl_mean_5s"), "bodies are opened");
    assert!(text.contains(&device.person.to_string()) && !text.contains(&other.person.to_string()));
    let receipt = &export["tables"]["receipts"][0]["body"];
    assert_eq!(*receipt, serde_json::to_value(&device.chain[0]).unwrap());
    let head: Head = serde_json::from_value(export["heads"][0].clone()).unwrap();
    head.verify().unwrap();
    assert_eq!(head.receipt, device.chain[0].digest().unwrap());

    // The operator's is the same, but for the audit line that it adds.
    let copy = privacy::export(server.location(), device.person, 1).await.unwrap().unwrap();
    assert_eq!(copy["tables"]["events"], export["tables"]["events"]);
    assert_eq!(copy["tables"]["audit"].as_array().unwrap().len(), 3);
    let unknown = privacy::export(server.location(), Uuid::now_v7(), 1).await.unwrap();
    assert_eq!(unknown, None);
    let nowhere = privacy::export(Path::new("nowhere"), device.person, 1).await.unwrap_err();
    assert!(nowhere.to_string().contains("no database in nowhere"), "{nowhere}");
}

/// Where in the files of a folder the bytes stand.
fn found(folder: &Path, needle: &[u8]) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test]
async fn c15_erasure_leaves_no_trace_but_a_tombstone() {
    let server = Running::start().await;
    let (mut device, mut stays) = (filled(&server).await, filled(&server).await);
    // Rows of both on the same pages, many pages of them.
    for _ in 0..20 {
        for device in [&mut device, &mut stays] {
            let events: Vec<_> = (0..25).map(|_| device.eda()).collect();
            server.events(device, &events).await;
        }
    }
    let folder = server.folder.path();
    let (person, id) = (device.person, *device.person.as_bytes());
    assert!(!embedded() || !found(folder, &id).is_empty(), "the search finds what is there");
    assert!(found(folder, CANARY.as_bytes()).is_empty(), "bodies are sealed");

    assert_eq!(erase(&server, &device).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(found(folder, &id), [""; 0]);
    assert_eq!(found(folder, person.to_string().as_bytes()), [""; 0]);
    assert_eq!(found(folder, device.device.as_bytes()), [""; 0]);
    let mut database = server.database().await;
    for table in privacy::inventory() {
        let Holds::Rows { naming, .. } = table.holds else { continue };
        for column in naming.iter().filter(|column| ["person", "device"].contains(column)) {
            let query = format!("SELECT count(*) FROM {} WHERE {column} IN ($1, $2)", table.name);
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(query))
                .bind(&id[..])
                .bind(&device.device.as_bytes()[..])
                .fetch_one(&mut database)
                .await
                .unwrap();
            assert_eq!(rows, 0, "{}.{column}", table.name);
        }
    }
    assert_eq!(server.rows().await["events"], 544, "the other person's stay");
    assert_eq!((server.counters().events, server.counters().consents), (544, 1));
    let page = server.get("/").send().await.unwrap().text().await.unwrap();
    let short = |device: &Device| device.person.to_string()[30..].to_owned();
    assert!(!page.contains(&short(&device)) && page.contains(&short(&stays)));

    // Whatever arrives about them is refused; a withdrawal is answered, and not stored.
    let event = device.eda();
    server.check_events(&device, &[event], 410, ErrorCode::Erased).await;
    check_problem(erase(&server, &device).await, 410, ErrorCode::Erased).await;
    let given = consents(&device.chain);
    let refused = server.post(&device, "/v1/consents", &given).await;
    check_problem(refused, 410, ErrorCode::Erased).await;
    let path = format!("/v1/consents/{person}/{}", device.device);
    let refused = server.ask(&device, Method::GET, &path, vec![]).await;
    check_problem(refused, 410, ErrorCode::Erased).await;
    let withdrawn = device.withdraw();
    let head = server.consent(&device, std::slice::from_ref(&withdrawn)).await;
    assert_eq!(head.receipt, withdrawn.digest().unwrap());
    assert_eq!(found(folder, &id), [""; 0]);
    assert_eq!(server.counters().refused.erased, 4);
    assert_eq!(server.audited("erasure").await, ["erased 544 events and 1 receipts"]);

    // The device is free to begin again, for another pseudonym.
    device.person = Uuid::now_v7();
    device.chain.clear();
    let given = device.give(&[Modality::Eda]);
    server.consent(&device, &[given]).await;
    privacy::verify_audit(server.location()).await.unwrap();
}

#[tokio::test]
async fn c15_the_operator_erases_on_the_folder() {
    let mut server = Running::start().await;
    let device = filled(&server).await;
    server.shut_down().await;
    let folder = server.folder.path();
    let erased = privacy::erase(server.location(), device.person, 1).await.unwrap().unwrap();
    assert_eq!((erased.events, erased.receipts, erased.log_emptied), (44, 1, true));
    assert_eq!(found(folder, device.person.as_bytes()), [""; 0]);
    assert_eq!(privacy::erase(server.location(), device.person, 1).await.unwrap(), None);
}

#[tokio::test]
async fn c15_a_backup_from_before_the_erasure_cannot_be_read() {
    if !embedded() {
        // The copy of a file is no backup of PostgreSQL: see the tests of `backup`.
        return;
    }
    let mut server = Running::start().await;
    let (device, stays) = (filled(&server).await, filled(&server).await);
    server.shut_down().await;
    // The last connection has moved the log into the database: one file is the backup.
    let path = server.folder.path().join(DATABASE_FILE_NAME);
    let backup = std::fs::read(&path).unwrap();
    let mut server = server.restart_after_stop().await;
    assert_eq!(erase(&server, &device).await.status(), StatusCode::NO_CONTENT);
    server.shut_down().await;
    std::fs::write(path_in(&server), &backup).unwrap();

    // The rows are there again, and their key is not: nobody can read them.
    let restored = privacy::export(server.location(), device.person, 1).await;
    assert!(restored.unwrap_err().to_string().contains("cannot be opened"));
    assert!(!found(server.folder.path(), device.person.as_bytes()).is_empty());

    // A start erases again what the backup brought back, and only that.
    let server = server.restart_after_stop().await;
    assert_eq!(found(server.folder.path(), device.person.as_bytes()), [""; 0]);
    assert_eq!(server.rows().await["events"], 44);
    let said = server.audited("erasure").await;
    assert_eq!(said, ["erased 44 events and 1 receipts"]);
    check_problem(erase(&server, &device).await, 410, ErrorCode::Erased).await;
    assert!(export(&server, &stays).await.to_string().contains(CANARY));
}

fn path_in(server: &Running) -> std::path::PathBuf {
    server.folder.path().join(DATABASE_FILE_NAME)
}

#[tokio::test]
async fn c15_an_erasure_that_was_cut_short_is_finished() {
    let mut server = Running::start().await;
    let device = filled(&server).await;
    server.shut_down().await;
    // As a crash after the first step leaves it: the tombstone stands, rows and key are there.
    let hash = protocol::digest::Digest::of(device.person.as_bytes());
    let mut keys = crate::support::keys(server.folder.path()).await;
    sqlx::query("INSERT INTO tombstones VALUES ($1, 1)")
        .bind(&hash.0[..])
        .execute(&mut keys)
        .await
        .unwrap();
    keys.close().await.unwrap();
    let mut server = server.restart_after_stop().await;
    assert_eq!(server.rows().await["events"], 0);
    let count = "SELECT count(*) FROM person_keys";
    let mut keys = crate::support::keys(server.folder.path()).await;
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut keys).await.unwrap(), 0);
    // As a crash after the second leaves it: only the key is left.
    server.shut_down().await;
    sqlx::query("INSERT INTO person_keys VALUES ($1, randomblob(32))")
        .bind(&hash.0[..])
        .execute(&mut keys)
        .await
        .unwrap();
    let _server = server.restart_after_stop().await;
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut keys).await.unwrap(), 0);
}

#[tokio::test]
async fn c16_each_purpose_ends_on_its_own_day_and_nothing_else_goes() {
    let mut running = Running::start().await;
    let (mut withdrawn, stays) = (filled(&running).await, filled(&running).await);
    let receipt = withdrawn.withdraw();
    running.consent(&withdrawn, &[receipt]).await;
    let now = now_unix_ms();
    running.shut_down().await;
    let server = Server::bind(config(running.folder.path())).await.unwrap();
    let RetentionConfig { derived_days, behaviour_days, proof_days, audit_days, .. } =
        RetentionConfig::default();
    assert_eq!((derived_days, behaviour_days, audit_days, proof_days), (30, 365, 730, 1095));

    let mut before = running.rows().await;
    before.remove("audit");
    let mut said = Vec::new();
    // A day before an age nothing more goes; a day after it, exactly what has reached it.
    let steps: [(u32, &[(&str, i64)]); 4] = [
        (derived_days, &[("events", 3)]),
        (behaviour_days, &[("events", 0), ("received", 0)]),
        (audit_days, &[]),
        (proof_days, &[("receipts", 1), ("people", 1), ("devices", 1)]),
    ];
    for (days, expected) in steps {
        let at = async |days: i64| {
            server.run_retention(now + days * DAY_MS).await.unwrap();
            let mut rows = running.rows().await;
            rows.remove("audit");
            rows
        };
        let day_before = at(i64::from(days) - 1).await;
        assert_eq!(day_before, before, "{days}");
        before = at(i64::from(days) + 1).await;
        let mut wanted = day_before;
        wanted.extend(expected.iter().map(|(table, count)| ((*table).to_owned(), *count)));
        assert_eq!(before, wanted, "{days}");
        said.extend(running.audited("retention").await);
    }
    let kept: Vec<u8> = sqlx::query_scalar("SELECT person FROM people")
        .fetch_one(&mut running.database().await)
        .await
        .unwrap();
    assert_eq!(kept, stays.person.as_bytes());
    assert!(
        said.iter().any(|line| line.starts_with("deleted 41 derived, 0 behaviour")),
        "{said:?}"
    );
    let lines: i64 = sqlx::query_scalar("SELECT count(*) FROM audit WHERE at_unix_ms < $1")
        .bind(now + DAY_MS)
        .fetch_one(&mut running.database().await)
        .await
        .unwrap();
    assert_eq!(lines, 0, "the audit log ends, too");
    privacy::verify_audit(running.location()).await.unwrap();
}

#[tokio::test]
async fn the_audit_log_is_append_only_and_chained() {
    let server = Running::start().await;
    let device = filled(&server).await;
    export(&server, &device).await;
    assert_eq!(privacy::verify_audit(server.location()).await.unwrap(), 2);
    let mut database = server.database().await;
    for forbidden in [
        "UPDATE audit SET result = 'x'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE number = 2",
        "DELETE FROM audit_anchor",
        "UPDATE audit_anchor SET number = -1",
    ] {
        let refused = sqlx::query(forbidden).execute(&mut database).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{forbidden}: {refused}");
    }
    if !embedded() {
        let emptied = sqlx::query("TRUNCATE audit").execute(&mut database).await.unwrap_err();
        assert!(emptied.to_string().contains("append-only"), "{emptied}");
        return;
    }
    // Whoever takes the triggers away is found out.
    for tampering in [
        "UPDATE audit SET result = 'x' WHERE number = 1",
        "DELETE FROM audit WHERE number = 1",
        "INSERT INTO audit SELECT 3, at_unix_ms, actor, action, about, result, hash FROM audit",
    ] {
        let copy = TempDir::new().unwrap();
        sqlx::query("VACUUM INTO $1")
            .bind(copy.path().join(DATABASE_FILE_NAME).to_string_lossy().into_owned())
            .execute(&mut database)
            .await
            .unwrap();
        let mut copied = crate::support::file(&copy.path().join(DATABASE_FILE_NAME)).await;
        sqlx::query("DROP TRIGGER audit_is_not_changed").execute(&mut copied).await.unwrap();
        sqlx::query("DROP TRIGGER audit_is_not_deleted").execute(&mut copied).await.unwrap();
        let tampering = format!(
            "{tampering}{}",
            if tampering.starts_with("INSERT") { " WHERE number = 2" } else { "" }
        );
        sqlx::query(AssertSqlSafe(tampering)).execute(&mut copied).await.unwrap();
        copied.close().await.unwrap();
        let found = privacy::verify_audit(copy.path()).await.unwrap_err();
        assert!(found.to_string().contains("audit log was changed"), "{found}");
    }
}
