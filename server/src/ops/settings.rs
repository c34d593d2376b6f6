//! Where settings come from: a file, then the environment, then the command line; the later wins.
//! What nobody set has its default. A name that does not exist is refused, with the nearest one
//! that does: a setting that is silently ignored is worse than none.

mod names;

pub use names::{NAMES, Setting, reference};

use crate::Config;
use config::{ConfigError, File, FileFormat, Map, Source, Value, ValueKind};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// What the names of environment variables begin with; after it, two underscores stand for the
/// dot: `ATTUNE_SERVER__LIMITS__KEY__BURST`.
pub const PREFIX: &str = "ATTUNE_SERVER__";
/// What is logged, as every command of ours takes it.
const LOG_FILTER: &str = "ATTUNE_LOG";
/// The collector's address, as every OpenTelemetry program takes it.
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// A name that is farther from every setting is no misspelling (Jaro-Winkler, 0..=1).
const NEAR: f64 = 0.8;

/// Why the settings cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file is not there, or is no TOML.
    #[error("cannot read the settings {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No such setting.
    #[error("there is no setting \"{name}\" ({origin}){}", near(nearest))]
    Unknown {
        /// As it was given.
        name: String,
        /// Where.
        origin: String,
        /// The nearest that there is.
        nearest: Option<&'static str>,
    },
    /// A value cannot be used.
    #[error("a setting cannot be used: {0}")]
    Value(String),
}

fn near(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!(": do you mean \"{name}\"?"),
        None => "; attune serve --print-config shows them all".to_owned(),
    }
}

/// A setting of the command line: the option's name, the setting's, the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// As people type it: `--listen`.
    pub option: &'static str,
    /// The setting: `listen`.
    pub name: &'static str,
    /// The value.
    pub value: String,
}

/// The settings, and where each came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the server takes.
    pub config: Config,
    shown: BTreeMap<String, Shown>,
}

/// A setting as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    /// As TOML has it; `None` if it is not set and has no default.
    value: Option<String>,
    origin: Option<String>,
}

/// Merges what a file, the environment and the command line say.
///
/// # Errors
/// [`SettingsError`] names the setting and where it was given.
///
/// # Examples
/// ```
/// let variables = [("ATTUNE_SERVER__LIMITS__KEY__BURST".to_owned(), "50".to_owned())];
/// let settings = server::settings::load(None, variables, &[])?;
/// assert_eq!(settings.config.limits.key.burst, 50);
/// # Ok::<_, server::settings::SettingsError>(())
/// ```
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[Flag],
) -> Result<Settings, SettingsError> {
    let mut builder = config::Config::builder();
    let defaults = config::Config::try_from(&Config::default());
    let defaults = defaults.map_err(|error| SettingsError::Value(error.to_string()))?;
    builder = builder.add_source(defaults);
    if let Some(path) = file {
        builder = builder.add_source(file_source(path)?);
    }
    let (ours, common) = of_environment(environment);
    let flags = flags.iter().map(|flag| Given {
        name: flag.name.to_owned(),
        origin: flag.option.to_owned(),
        value: flag.value.clone(),
    });
    let given: Vec<Given> = ours.into_iter().chain(flags).collect();
    for one in &given {
        known(&one.name, &one.origin)?;
    }
    builder = builder.add_source(GivenSource(common));
    builder = builder.add_source(GivenSource(given));
    let merged = builder.build().map_err(|error| SettingsError::Value(error.to_string()))?;
    let mut shown = BTreeMap::new();
    show("", &merged.cache, &mut shown);
    let config = merged.try_deserialize();
    let config = config.map_err(|error: ConfigError| wrong(&error, &shown))?;
    Ok(Settings { config, shown })
}

/// What cannot be used, and where it was given.
fn wrong(error: &ConfigError, shown: &BTreeMap<String, Shown>) -> SettingsError {
    let mut text = error.to_string();
    let named = shown.iter().find(|(name, _)| text.contains(&format!("`{name}`")));
    let origin = named.and_then(|(_, shown)| shown.origin.as_deref());
    if let Some(origin) = origin.filter(|origin| !text.contains(*origin)) {
        text += &format!(" ({origin})");
    }
    SettingsError::Value(text)
}

impl Settings {
    /// Every setting as TOML, with a remark where it came from. Secrets are starred out.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for setting in NAMES {
            let (table, name) = setting.name.rsplit_once('.').unwrap_or(("", setting.name));
            if table != section {
                section = table;
                let within = format!("{table}.");
                let of_table = self.shown.iter().filter(|(name, _)| name.starts_with(&within));
                let is_set = of_table.into_iter().any(|(_, shown)| shown.value.is_some());
                // Writing to a String does not fail.
                let _ = write!(text, "\n{}\n", names::header(table, is_set));
            }
            let shown = self.shown.get(setting.name);
            let origin = shown.and_then(|shown| shown.origin.as_deref()).unwrap_or("default");
            let _ = match shown.and_then(|shown| shown.value.as_deref()) {
                None => writeln!(text, "# {name} is not set"),
                Some(_) if setting.secret => writeln!(text, "{name} = \"***\" # {origin}"),
                Some(value) => writeln!(text, "{name} = {value} # {origin}"),
            };
        }
        text
    }
}

/// One setting, given by name.
#[derive(Debug, Clone)]
struct Given {
    name: String,
    origin: String,
    value: String,
}

#[derive(Debug, Clone)]
struct GivenSource(Vec<Given>);

impl Source for GivenSource {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let values = self.0.iter().map(|given| {
            let kind = kind_of(given);
            (given.name.clone(), Value::new(Some(&given.origin), kind))
        });
        Ok(values.collect())
    }
}

/// Text as the type that it reads as; a list has commas between.
fn kind_of(given: &Given) -> ValueKind {
    let text = given.value.as_str();
    let list = NAMES.iter().any(|setting| setting.name == given.name && setting.list);
    if list {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let item = |text: &str| Value::new(Some(&given.origin), ValueKind::from(text));
        return ValueKind::Array(items.map(item).collect());
    }
    if let Ok(value) = text.parse::<bool>() {
        return ValueKind::Boolean(value);
    }
    match text.parse::<i64>() {
        Ok(value) => ValueKind::I64(value),
        Err(_) => ValueKind::from(text),
    }
}

/// Our variables, and those that we share with others: ours win.
fn of_environment(
    environment: impl IntoIterator<Item = (String, String)>,
) -> (Vec<Given>, Vec<Given>) {
    let (mut ours, mut common) = (Vec::new(), Vec::new());
    for (variable, value) in environment {
        let shared = match variable.as_str() {
            OTLP_ENDPOINT => Some("traces.endpoint"),
            LOG_FILTER => Some("log.filter"),
            _ => None,
        };
        if let Some(name) = shared.filter(|_| !value.is_empty()) {
            common.push(Given { name: name.to_owned(), origin: variable, value });
        } else if let Some(name) = variable.strip_prefix(PREFIX) {
            let name = name.to_lowercase().replace("__", ".");
            ours.push(Given { name, origin: variable, value });
        }
    }
    // In an order of their own: that of the environment is nobody's.
    ours.sort_by(|a, b| a.name.cmp(&b.name));
    (ours, common)
}

/// The file, with every name in it checked.
fn file_source(path: &Path) -> Result<GivenFile, SettingsError> {
    let failed = |reason: String| SettingsError::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let read = File::from_str(&text, FileFormat::Toml).collect();
    let values = read.map_err(|error| failed(error.to_string()))?;
    let origin = path.display().to_string();
    let values: Map<String, Value> =
        values.into_iter().map(|(name, value)| (name, from(&origin, value))).collect();
    let mut names = Vec::new();
    for (name, value) in &values {
        leaves(name, value, &mut names);
    }
    names.sort();
    for name in names {
        known(&name, &origin)?;
    }
    Ok(GivenFile(values))
}

#[derive(Debug, Clone)]
struct GivenFile(Map<String, Value>);

impl Source for GivenFile {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// A value that says where it came from, and all in it.
fn from(origin: &String, value: Value) -> Value {
    let kind = match value.kind {
        ValueKind::Table(table) => {
            let inner = table.into_iter().map(|(name, value)| (name, from(origin, value)));
            ValueKind::Table(inner.collect())
        }
        other => other,
    };
    Value::new(Some(origin), kind)
}

/// The names under a value; an empty table is a name, too, or it would go unseen.
fn leaves(name: &str, value: &Value, names: &mut Vec<String>) {
    match &value.kind {
        ValueKind::Table(table) if !table.is_empty() => {
            for (inner, value) in table {
                leaves(&format!("{name}.{inner}"), value, names);
            }
        }
        ValueKind::Table(_) if NAMES.iter().any(|s| s.name.starts_with(&format!("{name}."))) => {}
        _ => names.push(name.to_owned()),
    }
}

fn known(name: &str, origin: &str) -> Result<(), SettingsError> {
    if NAMES.iter().any(|setting| setting.name == name) {
        return Ok(());
    }
    let likeness = |setting: &&Setting| strsim::jaro_winkler(setting.name, name);
    let nearest = NAMES.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.filter(|setting| likeness(setting) >= NEAR).map(|setting| setting.name);
    Err(SettingsError::Unknown { name: name.to_owned(), origin: origin.to_owned(), nearest })
}

fn show(name: &str, value: &Value, shown: &mut BTreeMap<String, Shown>) {
    if let ValueKind::Table(table) = &value.kind {
        for (inner, value) in table {
            let inner = if name.is_empty() { inner.clone() } else { format!("{name}.{inner}") };
            show(&inner, value, shown);
        }
        return;
    }
    let origin = value.origin().map(ToOwned::to_owned);
    shown.insert(name.to_owned(), Shown { value: toml_of(value), origin });
}

/// A value as TOML has it; `None` for nothing.
fn toml_of(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Nil => None,
        ValueKind::String(text) => Some(toml::Value::from(text.as_str()).to_string()),
        ValueKind::Array(items) => {
            let items: Vec<_> = items.iter().filter_map(toml_of).collect();
            Some(format!("[{}]", items.join(", ")))
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("attune.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn variables<'a>(pairs: &'a [(&str, &str)]) -> impl Iterator<Item = (String, String)> + 'a {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
    }

    #[test]
    fn the_later_wins_and_says_so() {
        let (_folder, path) = file(
            "request_timeout_ms = 1\nauthorities = [\"a\"]\n[limits.key]\nper_second = 1\nburst = 1",
        );
        let environment = [
            ("ATTUNE_SERVER__LIMITS__KEY__BURST", "2"),
            ("ATTUNE_SERVER__LISTEN", "127.0.0.1:1"),
            ("ATTUNE_SERVER__AUTHORITIES", "b, c"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("PATH", "/bin"),
        ];
        let flag = Flag { option: "--listen", name: "listen", value: "127.0.0.1:2".into() };
        let settings = load(Some(&path), variables(&environment), &[flag]).unwrap();
        let config = &settings.config;
        assert_eq!(config.listen.port(), 2);
        assert_eq!((config.limits.key.per_second, config.limits.key.burst), (1, 2));
        assert_eq!(config.limits.device, Config::default().limits.device);
        assert_eq!(config.authorities, ["b", "c"]);
        assert_eq!(config.traces.endpoint.as_deref(), Some("http://collector:4318"));
        let text = settings.explain();
        let path = path.display();
        for line in [
            "listen = \"127.0.0.1:2\" # --listen".to_owned(),
            format!("request_timeout_ms = 1 # {path}"),
            "authorities = [\"b\", \"c\"] # ATTUNE_SERVER__AUTHORITIES".to_owned(),
            "[limits.key]".to_owned(),
            format!("per_second = 1 # {path}"),
            "burst = 2 # ATTUNE_SERVER__LIMITS__KEY__BURST".to_owned(),
            "data_dir = \"attune-data\" # default".to_owned(),
            "endpoint = \"http://collector:4318\" # OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        // What is shown is itself a file of settings.
        let (_folder, again) = file(&text);
        assert_eq!(&load(Some(&again), [], &[]).unwrap().config, config);
    }

    #[test]
    fn a_name_that_is_not_there_is_refused_with_the_nearest() {
        let check = |text: &str, name: &str, nearest: Option<&str>| {
            let (_folder, path) = file(text);
            match load(Some(&path), [], &[]) {
                Err(SettingsError::Unknown { name: found, nearest: near, .. }) => {
                    assert_eq!((found.as_str(), near), (name, nearest));
                }
                other => panic!("{text}: {other:?}"),
            }
        };
        check("listn = \"x\"", "listn", Some("listen"));
        check("[limits.key]\nper_secnd = 5", "limits.key.per_secnd", Some("limits.key.per_second"));
        check("[zzz]", "zzz", None);
        check("data_dir = {a = 1}", "data_dir.a", Some("data_dir"));
        let wrong = load(None, variables(&[("ATTUNE_SERVER__LISTN", "x")]), &[]).unwrap_err();
        let text = "there is no setting \"listn\" (ATTUNE_SERVER__LISTN): do you mean \"listen\"?";
        assert_eq!(wrong.to_string(), text);
    }

    #[test]
    fn a_value_that_cannot_be_used_is_refused_with_its_place() {
        for (name, value) in [
            ("ATTUNE_SERVER__LISTEN", "nowhere"),
            ("ATTUNE_SERVER__LIMITS__KEY__BURST", "-1"),
            ("ATTUNE_SERVER__LIMITS__KEY__BURST", "many"),
            ("ATTUNE_SERVER__LIMITS", "5"),
        ] {
            let error = load(None, variables(&[(name, value)]), &[]).unwrap_err().to_string();
            assert!(error.contains("ATTUNE_SERVER__"), "{error}");
        }
        let missing = load(Some("nowhere.toml".as_ref()), [], &[]);
        assert!(matches!(missing, Err(SettingsError::File { .. })));
    }

    #[test]
    fn every_setting_is_described_and_every_description_is_a_setting() {
        let defaults = load(None, [], &[]).unwrap();
        let names: Vec<_> = NAMES.iter().map(|setting| setting.name.to_owned()).collect();
        for name in defaults.shown.keys() {
            // A table that is not set is described by what can be set in it.
            let within = format!("{name}.");
            let described = names.iter().any(|known| known == name || known.starts_with(&within));
            assert!(described, "describe the setting {name} in settings/names.rs");
        }
        for name in names {
            // What has no default is not shown by it: an unknown name is refused by the config.
            let flag = Flag { option: "-", name: name.clone().leak(), value: "\u{0}".into() };
            if let Err(error) = load(None, [], &[flag]) {
                assert!(!error.to_string().contains("unknown field"), "{name}: {error}");
            }
        }
    }

    #[test]
    fn the_book_has_every_setting() {
        let (_folder, path) = file(&reference());
        assert_eq!(load(Some(&path), [], &[]).unwrap().config, Config::default());
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/operator/settings.toml");
        let book = std::fs::read_to_string(page).unwrap();
        assert_eq!(book, reference(), "write it again: attune serve --print-default-config");
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(text in "\\PC{0,60}|[a-z_.]{1,20} = [0-9\"\\[\\]{}a-z.]{0,12}") {
            let (_folder, path) = file(&text);
            let _ = load(Some(&path), [], &[]);
        }

        #[test]
        fn any_variable_is_read_or_refused(name in "[A-Z_.]{0,30}", value in "\\PC{0,20}") {
            let _ = load(None, [(format!("{PREFIX}{name}"), value)], &[]);
        }
    }
}
