//! The benches, as JSON lines or as a table.

use crate::project::{Project, TaskError, output, succeed};
use serde_json::Value;

/// Runs the named benches in release mode, or all of them.
///
/// # Errors
/// When one does not build or fails.
pub fn run(project: &Project, names: &[String], json: bool) -> Result<(), TaskError> {
    let mut bench = project.cargo(["bench", "--package", "tests", "--bench", "edge", "--"]);
    bench.args(names).arg("--json");
    if json {
        return succeed(&mut bench);
    }
    for line in output(&mut bench)?.lines() {
        println!("{}", row(line));
    }
    Ok(())
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
    fn rows_read_from_the_left() {
        let latency = r#"{"bench":"latency","notifications":3000,"p50_ms":1.25}"#;
        check(latency, "latency       notifications 3000   p50_ms 1.250");
        check("skipped: no data", "skipped: no data");
    }
}
