use super::*;
use crate::store::{
    Actor, NewFact, person_hash,
    testing::{Kind, place, trixie},
};
use models::profile::{Fact, Source};
use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

/// People with one fact each.
async fn put(store: &Store, people: &[Uuid]) {
    let mut writing = store.begin().await.unwrap();
    writing.make_keys(people).await.unwrap();
    let mut facts = Vec::new();
    for person in people {
        sqlx::query(
            "INSERT INTO subjects (person, hash, root, first_seen_unix_ms) VALUES ($1, $2, $1, 0)",
        )
        .bind(person.as_bytes().to_vec())
        .bind(person_hash(*person).0.to_vec())
        .execute(&mut *writing.transaction)
        .await
        .unwrap();
        let fact = Fact {
            source: Source::Behaviour,
            name: "visit".into(),
            at_unix_ms: 0,
            known_unix_ms: 0,
            count: 1,
            value: None,
            number: None,
            item: Some(person.to_string()),
            category: None,
        };
        facts.push(NewFact { id: Uuid::now_v7(), person: *person, fact });
    }
    writing.put_facts(&facts).await.unwrap();
    writing.commit().await.unwrap();
}

async fn people_of(store: &Store) -> Vec<Uuid> {
    let facts = store.every_fact().await.unwrap();
    let mut people: Vec<Uuid> = facts.iter().map(|fact| fact.person).collect();
    people.sort();
    people
}

fn some(count: u128) -> Vec<Uuid> {
    (1..=count).map(Uuid::from_u128).collect()
}

/// The programs of the server's version: TimescaleDB's are in its own root, with its own libraries.
fn programs(kind: Option<Kind>, folder: &Path) -> Programs {
    let Some(Kind::Timescale) = kind else { return Programs::default() };
    let root = trixie().unwrap();
    for program in ["pg_dump", "pg_restore"] {
        let script = format!(
            "#!/bin/sh
root='{}'
exec \"$root\"/lib*/ld-linux-*.so.* --library-path \"$(echo \"$root\"/usr/lib/*-linux-gnu)\" \\
    \"$root\"/usr/lib/postgresql/*/bin/{program} \"$@\"
",
            root.display()
        );
        let path = folder.join(program);
        fs::write(&path, script).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    Programs(Some(folder.to_owned()))
}

/// A backup is taken while facts come in, and brought back elsewhere and where the keys still are.
async fn a_backup_comes_back(kind: Option<Kind>) {
    let Some((at, _folder)) = place(kind) else { return };
    let copies = TempDir::new().unwrap();
    let programs = programs(kind, copies.path());
    let to = copies.path().join("copy");
    let store = Store::open_as_server(&at).await.unwrap();
    put(&store, &some(100)).await;
    let late: Vec<Uuid> = (1_000..1_040).map(Uuid::from_u128).collect();
    let writing = async {
        for person in &late {
            put(&store, std::slice::from_ref(person)).await;
        }
    };
    let mut stages = Vec::new();
    let (manifest, ()) =
        tokio::join!(backup_by(&programs, &at, &to, 7, |stage| stages.push(stage)), writing);
    let manifest = manifest.unwrap();
    assert_eq!(stages, [Stage::Database, Stage::Keys, Stage::Check]);
    assert_eq!((manifest.created_unix_ms, manifest.files.len()), (7, 2));
    let again = backup_by(&programs, &at, &to, 8, |_| {}).await.unwrap_err();
    assert!(matches!(again, BackupError::Occupied(_)), "{again}");

    // Elsewhere, with nothing but the copy.
    let (elsewhere, _other) = place(kind).unwrap();
    if kind.is_none() {
        // A restore was killed there half-way.
        fs::write(elsewhere.folder.join(FILE_NAME).with_extension("restoring"), "half").unwrap();
    }
    let restored = restore_by(&programs, &to, &elsewhere, 9, |_| {}).await.unwrap();
    assert_eq!(restored.erased_again, Finished::default());
    let copy = Store::open_as_server(&elsewhere).await.unwrap();
    let people = people_of(&copy).await;
    assert_eq!(people[..100], some(100));
    assert_eq!(people.len(), restored.people);
    assert!(people[100..].iter().zip(&late).all(|(found, put)| found == put), "a moment's");
    copy.close().await;
    let refused = restore_by(&programs, &to, &elsewhere, 9, |_| {}).await.unwrap_err();
    let occupied = matches!(refused, BackupError::Occupied(_) | BackupError::NotEmpty);
    assert!(occupied, "{refused}");

    // Where the keys still are: who was erased since stays so, though the backup has their key.
    for person in &some(3) {
        let erasing = store.begin().await.unwrap().erase(*person, Actor::Operator, 0).await;
        erasing.unwrap().commit().await.unwrap();
    }
    store.close().await;
    let back = match kind {
        None => {
            for file in ["", "-wal", "-shm"] {
                let file = at.folder.join(format!("{FILE_NAME}{file}"));
                assert!(fs::remove_file(&file).is_ok() || !file.exists());
            }
            at.clone()
        }
        Some(_) => {
            let (empty, _unused) = place(kind).unwrap();
            Location { folder: at.folder.clone(), database: empty.database }
        }
    };
    let restored = restore_by(&programs, &to, &back, 9, |_| {}).await.unwrap();
    assert_eq!(restored.erased_again, Finished { people: 3, keys: 0 });
    let store = Store::open_as_server(&back).await.unwrap();
    assert_eq!(people_of(&store).await[..97], some(100)[3..]);
    // It goes on where it stopped.
    put(&store, &[Uuid::from_u128(5_000)]).await;
    if kind == Some(Kind::Timescale) {
        let tables = "SELECT count(*) FROM timescaledb_information.hypertables";
        let tables: i64 = sqlx::query_scalar(tables).fetch_one(&store.readers).await.unwrap();
        assert_eq!(tables, 1);
    }
}

#[tokio::test]
async fn c15_a_backup_comes_back_on_sqlite() {
    a_backup_comes_back(None).await;
}

#[tokio::test]
async fn c15_a_backup_comes_back_on_postgres() {
    a_backup_comes_back(Some(Kind::Plain)).await;
}

#[tokio::test]
async fn c15_a_backup_comes_back_on_timescale() {
    a_backup_comes_back(Some(Kind::Timescale)).await;
}

#[tokio::test]
async fn a_backup_with_timescale_is_not_brought_back_without_it() {
    let Some((at, _folder)) = place(Some(Kind::Timescale)) else { return };
    let Some((plain, _other)) = place(Some(Kind::Plain)) else { return };
    let copies = TempDir::new().unwrap();
    let programs = programs(Some(Kind::Timescale), copies.path());
    Store::open_as_server(&at).await.unwrap().close().await;
    let to = copies.path().join("copy");
    backup_by(&programs, &at, &to, 0, |_| {}).await.unwrap();
    let refused = restore_by(&programs, &to, &plain, 0, |_| {}).await.unwrap_err();
    assert!(matches!(refused, BackupError::NoTimescale), "{refused}");
}

#[tokio::test]
async fn what_is_no_backup_is_refused_and_leaves_nothing() {
    let (at, _folder) = place(None).unwrap();
    let copies = TempDir::new().unwrap();
    let nothing = backup(&at, &copies.path().join("a"), 0, |_| {}).await.unwrap_err();
    assert!(matches!(nothing, BackupError::NoData(_)), "{nothing}");
    let store = Store::open_as_server(&at).await.unwrap();
    put(&store, &some(40)).await;
    let take = async |name: &str| {
        let to = copies.path().join(name);
        backup(&at, &to, 0, |_| {}).await.unwrap();
        to
    };
    let target = |name: &str| Location::from(&*copies.path().join(name).join("target"));
    let refused = async |from: &Path, target: &Location| {
        let refused = restore(from, target, 0, |_| {}).await.unwrap_err();
        assert!(!target.folder.join(FILE_NAME).exists(), "{refused}");
        refused
    };

    let unfinished = take("unfinished").await;
    fs::remove_file(unfinished.join(MANIFEST)).unwrap();
    let error = refused(&unfinished, &target("unfinished")).await;
    assert!(matches!(error, BackupError::NoBackup(..)), "{error}");

    let damaged = take("damaged").await;
    let file = damaged.join(FILE_NAME);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let error = refused(&damaged, &target("damaged")).await;
    assert!(matches!(error, BackupError::Damaged(_)), "{error}");

    // The keys of another day: the manifest is made to fit, the keys cannot be.
    let mixed = take("mixed").await;
    let mut keys = open(&mixed.join(KEYS_FILE_NAME), "rw").await.unwrap();
    let some = "DELETE FROM person_keys WHERE hash IN (SELECT hash FROM person_keys LIMIT 5)";
    sqlx::raw_sql(some).execute(&mut keys).await.unwrap();
    keys.close().await.unwrap();
    let mut manifest = read_manifest(&mixed).unwrap();
    let measured = measure(&mixed.join(KEYS_FILE_NAME)).unwrap();
    manifest.files.insert(KEYS_FILE_NAME.to_owned(), measured);
    fs::write(mixed.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    let error = refused(&mixed, &target("mixed")).await;
    assert!(matches!(error, BackupError::OtherKeys(5)), "{error}");

    // A manifest does not reach out of its folder.
    let copied = manifest.files[FILE_NAME].clone();
    manifest.files.insert("../../x".to_owned(), copied);
    fs::write(mixed.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    let error = refused(&mixed, &target("mixed")).await;
    assert!(matches!(error, BackupError::NoBackup(..)), "{error}");
}

#[test]
fn a_password_does_not_stand_among_the_arguments() {
    let check = |url: &str, public: &str, password: Option<&str>| {
        assert_eq!(without_password(url), (public.to_owned(), password.map(str::to_owned)));
    };
    check("postgres://a:s%40%25c@h:5/d?x=1", "postgres://a@h:5/d?x=1", Some("s@%c"));
    check("postgres://a:b@c@h/d", "postgres://a@h/d", Some("b@c"));
    check("postgres://a@h/d", "postgres://a@h/d", None);
    check("postgres://h/d?x=a:b@c", "postgres://h/d?x=a:b@c", None);
}

proptest! {
    #[test]
    fn any_url_is_taken_apart_without_a_panic(url in ".{0,60}", escaped in "[%0-9a-zü]{0,20}") {
        let _ = without_password(&url);
        let _ = percent_decoded(&escaped);
        let (public, _) = without_password(&format!("postgres://u:{escaped}@h/d"));
        prop_assert_eq!(public, "postgres://u@h/d");
    }
}
