//! Circumstances of places: weather, events. About nobody, so nobody is asked.

use super::{Fault, Frame, Known, batch::Verdict, check::text, time};
use crate::store::{NewCircumstance, Store, StoreError, Writing};
use protocol::{
    intake::{Circumstance, Encoding, MAX_NAME_BYTES, Reason},
    log,
};
use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use thiserror::Error;

/// How far ahead a forecast or an event may lie.
const AHEAD_MS: i64 = 366 * 24 * 60 * 60 * 1_000;

/// Checks a circumstance.
///
/// # Errors
/// [`Fault`].
pub fn circumstance(frame: &Frame, row: Circumstance) -> Result<NewCircumstance, Fault> {
    let at_unix_ms = time::read("event_timestamp", &row.event_timestamp)?;
    let known_unix_ms = frame.known_unix_ms(at_unix_ms);
    let latest = known_unix_ms.saturating_add(AHEAD_MS);
    if at_unix_ms > latest {
        let detail = "event_timestamp lies more than a year ahead";
        return Err(Fault::new(Reason::InFuture, detail));
    }
    time::plausible("event_timestamp", at_unix_ms.min(known_unix_ms), known_unix_ms)?;
    if !row.number.is_finite() {
        return Err(Fault::new(Reason::NotANumber, "number is no finite number"));
    }
    Ok(NewCircumstance {
        place: text("place", row.place, MAX_NAME_BYTES)?,
        name: text("name", row.name, MAX_NAME_BYTES)?,
        at_unix_ms,
        known_unix_ms,
        number: row.number,
    })
}

/// Takes circumstances in; one verdict a row. One that is the newest known by then is a repetition,
/// since whenever that one is known: what is told again is not news.
pub(super) async fn take(
    writing: &mut Writing,
    rows: Vec<Result<NewCircumstance, Fault>>,
    keep: bool,
    now_unix_ms: i64,
) -> Result<Vec<Result<Verdict, Fault>>, StoreError> {
    let good: Vec<NewCircumstance> = rows.iter().flatten().cloned().collect();
    let mut known = writing.known_circumstances(&good).await?;
    let mut new = Vec::new();
    let verdicts = rows.into_iter().map(|row| {
        let row = row?;
        let key = (row.place.clone(), row.name.clone(), row.at_unix_ms);
        let numbers = known.entry(key).or_default();
        match numbers.range(..=row.known_unix_ms).next_back() {
            Some((_, number)) if *number == row.number => Ok(Verdict::Duplicate),
            Some((since, _)) if *since == row.known_unix_ms => {
                let detail = "another number is known for this place, name and time since then";
                Err(Fault::new(Reason::Conflict, detail))
            }
            _ => {
                numbers.insert(row.known_unix_ms, row.number);
                new.push(row);
                Ok(Verdict::Stored)
            }
        }
    });
    let verdicts = verdicts.collect();
    if keep {
        writing.put_circumstances(&new, now_unix_ms).await?;
    }
    Ok(verdicts)
}

/// How often a provider is asked.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// Rows of one transaction.
const BATCH_ROWS: usize = 500;

/// Asks a provider now and then, and keeps what it says; never ends.
pub async fn keep_context(store: Store, provider: Box<dyn ContextProvider>, unix_ms: fn() -> i64) {
    let mut provider = Some(provider);
    loop {
        provider = keep_once(&store, provider, unix_ms()).await;
        tokio::time::sleep(EVERY).await;
    }
}

async fn keep_once(
    store: &Store,
    provider: Option<Box<dyn ContextProvider>>,
    now_unix_ms: i64,
) -> Option<Box<dyn ContextProvider>> {
    let mut provider = provider?;
    // Files are slow.
    let asked = tokio::task::spawn_blocking(move || (provider.circumstances(), provider)).await;
    let (said, mut provider) = asked.ok()?;
    let mut rows = Vec::new();
    for said in said {
        match said {
            Ok(some) => rows.extend(some),
            Err(error) => log!(warn, "some circumstances were not read; tried again later", error),
        }
    }
    match keep_rows(store, rows, now_unix_ms).await {
        Ok(()) => provider.kept(),
        Err(error) => log!(error, "circumstances were not stored; tried again later", error),
    }
    Some(provider)
}

async fn keep_rows(
    store: &Store,
    rows: Vec<Circumstance>,
    now_unix_ms: i64,
) -> Result<(), StoreError> {
    let frame = Frame {
        destination: String::new(),
        encoding: Encoding::Hex,
        consent: None,
        scopes: &[],
        known: Known::Arrival,
        received_unix_ms: now_unix_ms,
    };
    let (rows, mut refused) = (rows.into_iter().map(|row| circumstance(&frame, row)), 0);
    let rows: Vec<_> = rows.collect();
    for chunk in rows.chunks(BATCH_ROWS) {
        let mut writing = store.begin().await?;
        let verdicts = take(&mut writing, chunk.to_vec(), true, now_unix_ms).await?;
        writing.commit().await?;
        refused += verdicts.iter().filter(|verdict| verdict.is_err()).count();
    }
    if refused > 0 {
        log!(warn, "circumstances were refused: post them to /v1/context to see why", refused);
    }
    Ok(())
}

/// Where circumstances come from, beside those who report them: a service for weather, a calendar.
pub trait ContextProvider: fmt::Debug + Send {
    /// What is known now that was not kept before, source by source; what is given again does no
    /// harm. A source that cannot be read costs no other.
    ///
    /// # Errors
    /// Each a message that says what is wrong, where, and what to do.
    fn circumstances(&mut self) -> Vec<Result<Vec<Circumstance>, ContextError>>;

    /// What was given last is stored: it need not be given again.
    fn kept(&mut self);
}

/// Why a provider has nothing to say.
#[derive(Debug, Error)]
pub enum ContextError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read the circumstances in {0}: {1}; check context_dir")]
    Read(PathBuf, io::Error),
    /// A file is not what it should be.
    #[error("{0}, line {1}: {2}; write place,name,event_timestamp,number")]
    Line(PathBuf, u64, &'static str),
}

/// Messages name files and lines, never what stands there.
impl protocol::log::LogSafe for ContextError {}

/// A folder of CSV files with the header `place,name,event_timestamp,number`. Files that have not
/// changed since they were kept are not read again.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    kept: HashMap<PathBuf, FileState>,
    /// Given, and not kept yet.
    given: Vec<(PathBuf, FileState)>,
}

/// Length and time of change.
type FileState = (u64, SystemTime);

impl Folder {
    /// The folder at a path; looked at when asked.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, kept: HashMap::new(), given: Vec::new() }
    }

    fn files(&self) -> Result<Vec<PathBuf>, ContextError> {
        let failed = |error| ContextError::Read(self.path.clone(), error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// A file, if it is not as it was kept.
    fn changed(&self, path: &Path) -> Result<Option<(Vec<Circumstance>, FileState)>, ContextError> {
        let failed = |error| ContextError::Read(path.to_owned(), error);
        let about = fs::metadata(path).map_err(failed)?;
        let state = (about.len(), about.modified().map_err(failed)?);
        if self.kept.get(path) == Some(&state) {
            return Ok(None);
        }
        let file = fs::File::open(path).map_err(failed)?;
        Ok(Some((parse(file, path)?, state)))
    }
}

impl ContextProvider for Folder {
    fn circumstances(&mut self) -> Vec<Result<Vec<Circumstance>, ContextError>> {
        self.given.clear();
        let paths = match self.files() {
            Ok(paths) => paths,
            Err(error) => return vec![Err(error)],
        };
        let mut said = Vec::new();
        for path in paths {
            match self.changed(&path) {
                Ok(Some((rows, state))) => {
                    self.given.push((path, state));
                    said.push(Ok(rows));
                }
                Ok(None) => {}
                Err(error) => said.push(Err(error)),
            }
        }
        said
    }

    fn kept(&mut self) {
        self.kept.extend(self.given.drain(..));
    }
}

fn parse(file: impl io::Read, path: &Path) -> Result<Vec<Circumstance>, ContextError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let mut circumstances = Vec::new();
    for (place, row) in reader.deserialize().enumerate() {
        let line = place as u64 + 2;
        let unreadable = |_| ContextError::Line(path.to_owned(), line, "not a circumstance");
        circumstances.push(row.map_err(unreadable)?);
    }
    Ok(circumstances)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tempfile::TempDir;

    const NOW_MS: i64 = 1_795_190_645_000;
    const HEADER: &str = "place,name,event_timestamp,number\n";

    #[test]
    fn a_folder_is_read_once_and_again_when_it_changes() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("weather.csv");
        let row = "berlin,rain_mm,2026-11-20T17:00:00Z,1.5\n";
        fs::write(&file, format!("{HEADER}{row}")).unwrap();
        fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
        let mut provider = Folder::new(folder.path().to_owned());
        let mut rows = |kept: bool| {
            let said: Result<Vec<_>, _> = provider.circumstances().into_iter().collect();
            if kept {
                provider.kept();
            }
            said.map(|files| files.concat().len()).map_err(|error| error.to_string())
        };
        assert_eq!(rows(false), Ok(1));
        assert_eq!(rows(true), Ok(1), "it was not kept");
        assert_eq!(rows(true), Ok(0));
        fs::write(&file, format!("{HEADER}{row}{row}")).unwrap();
        assert_eq!(rows(true), Ok(2));
        fs::write(&file, format!("{HEADER}canary\n")).unwrap();
        let error = rows(true).unwrap_err();
        assert!(error.contains("line 2") && !error.contains("canary"), "{error}");
        let mut nowhere = Folder::new(folder.path().join("nowhere"));
        assert!(nowhere.circumstances()[0].is_err());
    }

    async fn stored(store: &Store) -> i64 {
        store.circumstance_count().await.unwrap().0
    }

    #[tokio::test]
    async fn a_bad_file_costs_no_other() {
        let place = TempDir::new().unwrap();
        let store = Store::open(place.path()).await.unwrap();
        let folder = TempDir::new().unwrap();
        let write = |name: &str, rows: &str| {
            fs::write(folder.path().join(name), format!("{HEADER}{rows}")).unwrap();
        };
        write("a.csv", "berlin,rain_mm,2026-11-20T17:00:00Z,1.5\n");
        write("b.csv", "canary\n");
        write("c.csv", "bonn,rain_mm,2026-11-20T17:00:00Z,1.5\n");
        let provider: Box<dyn ContextProvider> = Box::new(Folder::new(folder.path().to_owned()));
        let provider = keep_once(&store, Some(provider), NOW_MS).await;
        assert_eq!(stored(&store).await, 2);
        // Rows are known anew only with another number, whatever is appended, and at every start.
        write(
            "a.csv",
            "berlin,rain_mm,2026-11-20T17:00:00Z,1.5\nberlin,rain_mm,2026-11-20T18:00:00Z,2\n",
        );
        write("b.csv", "bonn,rain_mm,2026-11-20T17:00:00Z,3\n");
        keep_once(&store, provider, NOW_MS + 1).await;
        assert_eq!(stored(&store).await, 4);
        let anew: Box<dyn ContextProvider> = Box::new(Folder::new(folder.path().to_owned()));
        fs::remove_file(folder.path().join("b.csv")).unwrap();
        fs::remove_file(folder.path().join("c.csv")).unwrap();
        keep_once(&store, Some(anew), NOW_MS + 2).await;
        assert_eq!(stored(&store).await, 4);
    }

    #[tokio::test]
    async fn what_is_told_again_is_stored_once() {
        let place = TempDir::new().unwrap();
        let store = Store::open(place.path()).await.unwrap();
        let tell = async |numbers: &[(i64, f64)]| {
            let rows = numbers.iter().map(|(known_unix_ms, number)| {
                let (place, name) = ("berlin".to_owned(), "rain_mm".to_owned());
                let (known_unix_ms, number) = (*known_unix_ms, *number);
                Ok(NewCircumstance { place, name, at_unix_ms: 0, known_unix_ms, number })
            });
            let mut writing = store.begin().await.unwrap();
            let verdicts = take(&mut writing, rows.collect(), true, NOW_MS).await.unwrap();
            writing.commit().await.unwrap();
            let verdicts = verdicts.into_iter().map(|one| one.map_err(|fault| fault.reason));
            verdicts.collect::<Vec<_>>()
        };
        let (new, same) = (Ok(Verdict::Stored), Ok(Verdict::Duplicate));
        assert_eq!(
            tell(&[(10, 1.0), (20, 1.0), (30, 2.0), (40, 1.0)]).await,
            [new, same, new, new]
        );
        assert_eq!(tell(&[(15, 1.0), (35, 2.0), (50, 1.0)]).await, [same, same, same]);
        // Known before, or another number since the same time.
        assert_eq!(tell(&[(5, 1.0), (30, 3.0)]).await, [new, Err(Reason::Conflict)]);
        assert_eq!(stored(&store).await, 4);
    }

    proptest! {
        #[test]
        fn any_file_is_circumstances_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes[..], Path::new("x"));
            let mut file = HEADER.as_bytes().to_vec();
            file.extend_from_slice(&bytes);
            let _ = parse(&file[..], Path::new("x"));
        }
    }
}
