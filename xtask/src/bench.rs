//! The benches, as JSON lines or as a table.

use crate::project::{Project, TaskError, output, succeed};
use serde_json::Value;
use std::iter::once;

/// The executables of crate `tests`, and the benches in each.
const EXECUTABLES: [(&str, &[&str]); 8] = [
    ("boost", &["boost"]),
    ("edge", &["latency", "step", "withdrawal", "memory"]),
    ("consent", &["enqueue", "ledger"]),
    ("crash", &["crash"]),
    ("server", &["ingest", "feature_read", "sweep", "orders_sweep"]),
    ("signals", &["eda", "cvxeda", "hrv", "correction", "ppg", "streaming"]),
    ("soak", &["soak"]),
    ("tafeng", &["tafeng"]),
];

/// Runs the named benches in release mode, or all of them.
///
/// # Errors
/// When a name is unknown, or a bench does not build or fails.
pub fn run(project: &Project, names: &[String], json: bool) -> Result<(), TaskError> {
    for (executable, benches) in chosen(names)? {
        let mut bench = project.cargo(["bench", "--package", "tests", "--bench", executable, "--"]);
        bench.args(benches).arg("--json");
        if json {
            succeed(&mut bench)?;
            continue;
        }
        for line in output(&mut bench)?.lines() {
            println!("{}", row(line));
        }
    }
    Ok(())
}

/// Which executables to start, and what to ask each for. The name of an executable stands for all
/// that is in it.
fn chosen(names: &[String]) -> Result<Vec<(&'static str, Vec<&'static str>)>, TaskError> {
    let mut all: Vec<&str> =
        EXECUTABLES.iter().flat_map(|(of, some)| once(of).chain(*some)).copied().collect();
    all.dedup();
    if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
        let all = all.join(", ");
        return Err(TaskError::Found(format!("no bench is called {unknown}; there are {all}")));
    }
    let named = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    let parts = EXECUTABLES.iter().map(|(executable, benches)| {
        let wanted = benches.iter().filter(|bench| named(executable) || named(bench));
        (*executable, wanted.copied().collect::<Vec<_>>())
    });
    Ok(parts.filter(|(_, benches)| !benches.is_empty()).collect())
}

/// A result as people read it; what is no result stays as it is.
fn row(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return line.to_owned() };
    let name = fields.get("bench").and_then(Value::as_str).unwrap_or_default();
    let others = fields.iter().filter(|(key, _)| *key != "bench");
    let figures: Vec<_> = others.map(|(key, value)| format!("{key} {}", figure(value))).collect();
    format!("{name:<14}{}", figures.join("   "))
}

fn figure(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() != 0.0 => format!("{number:.3}"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        assert_eq!(row(line), expected);
    }

    #[test]
    fn names_find_their_executable() {
        let one = chosen(&["hrv".to_owned(), "memory".to_owned()]).unwrap();
        assert_eq!(one, [("edge", vec!["memory"]), ("signals", vec!["hrv"])]);
        let server = chosen(&["server".to_owned()]).unwrap();
        assert_eq!(server, [("server", vec!["ingest", "feature_read", "sweep", "orders_sweep"])]);
        assert_eq!(chosen(&[]).unwrap().len(), EXECUTABLES.len());
        assert!(chosen(&["hvr".to_owned()]).unwrap_err().to_string().contains("hvr"));
    }

    #[test]
    fn rows_read_from_the_left() {
        let latency = r#"{"bench":"latency","notifications":3000,"p50_ms":1.25}"#;
        check(latency, "latency       notifications 3000   p50_ms 1.250");
        check("skipped: no data", "skipped: no data");
    }
}
