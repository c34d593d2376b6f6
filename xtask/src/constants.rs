//! The feature schema as constants of each language Attune is used from, so that an app reads
//! names, units and ranges from its own SDK instead of repeating them.

use protocol::feature::{FEATURES, FeatureSpec, schema_hash};
use std::fmt::Write as _;

const NOTICE: &str = "Written by `cargo xtask docs` from the feature schema: change that.";

/// Path from the project's root, and text, of each file.
pub fn files() -> [(&'static str, String); 3] {
    [
        ("bindings/kotlin/src/main/kotlin/attune/Features.kt", kotlin()),
        ("bindings/swift/Sources/Attune/Features.swift", swift()),
        ("bindings/python/attune/features.py", python()),
    ]
}

/// A double as all three languages write it.
fn double(value: f64) -> String {
    format!("{value:?}")
}

/// A text literal as all three languages write it; the schema's texts hold no control characters.
fn text(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\u0024"))
}

/// One row in the languages that call constructors by position.
fn row(f: &FeatureSpec) -> String {
    let words = [
        text(f.name),
        text(f.modality.name()),
        text(f.unit),
        double(f.window_s),
        double(f.delay_s),
        double(f.range.0),
        double(f.range.1),
        text(f.source),
    ];
    words.join(", ")
}

fn kotlin() -> String {
    let mut file = format!(
        "// {NOTICE}\npackage attune\n\n\
         /** One number the intent model sees. */\n\
         public data class FeatureSpec(\n\
         \x20   public val name: String,\n\
         \x20   public val modality: String,\n\
         \x20   public val unit: String,\n\
         \x20   /** Length of the sliding window, seconds. */\n\
         \x20   public val windowS: Double,\n\
         \x20   /** How far the value lies behind the body, seconds. */\n\
         \x20   public val delayS: Double,\n\
         \x20   public val least: Double,\n\
         \x20   public val greatest: Double,\n\
         \x20   public val definition: String,\n\
         )\n\n\
         /** The features, in the order of the model's inputs. */\n\
         public object Features {{\n\
         \x20   /** What a model's manifest must state. */\n\
         \x20   public const val SCHEMA_HASH: String = {}\n\n\
         \x20   public val ALL: List<FeatureSpec> = listOf(\n",
        text(&schema_hash())
    );
    for f in &FEATURES {
        // Writing to a String does not fail.
        let _ = writeln!(file, "        FeatureSpec({}),", row(f));
    }
    file + "    )\n}\n"
}

fn swift() -> String {
    let mut file = format!(
        "// {NOTICE}\n\n\
         /// One number the intent model sees.\n\
         public struct FeatureSpec: Sendable, Hashable {{\n\
         \x20   public let name: String\n\
         \x20   public let modality: String\n\
         \x20   public let unit: String\n\
         \x20   /// Length of the sliding window, seconds.\n\
         \x20   public let windowS: Double\n\
         \x20   /// How far the value lies behind the body, seconds.\n\
         \x20   public let delayS: Double\n\
         \x20   public let range: ClosedRange<Double>\n\
         \x20   public let definition: String\n\
         }}\n\n\
         /// The features, in the order of the model's inputs.\n\
         public enum Features {{\n\
         \x20   /// What a model's manifest must state.\n\
         \x20   public static let schemaHash = {}\n\n\
         \x20   public static let all: [FeatureSpec] = [\n",
        text(&schema_hash())
    );
    for f in &FEATURES {
        let _ = writeln!(
            file,
            "        FeatureSpec(name: {}, modality: {}, unit: {}, windowS: {}, delayS: {}, \
             range: {}...{}, definition: {}),",
            text(f.name),
            text(f.modality.name()),
            text(f.unit),
            double(f.window_s),
            double(f.delay_s),
            double(f.range.0),
            double(f.range.1),
            text(f.source)
        );
    }
    file + "    ]\n}\n"
}

fn python() -> String {
    let mut file = format!(
        "\"\"\"The features the intent model sees, in the order of its inputs.\n\n{NOTICE}\n\"\"\"\n\n\
         from typing import Final, NamedTuple\n\n\n\
         class FeatureSpec(NamedTuple):\n\
         \x20   \"\"\"One number the intent model sees; times in seconds.\"\"\"\n\n\
         \x20   name: str\n\
         \x20   modality: str\n\
         \x20   unit: str\n\
         \x20   window_s: float\n\
         \x20   delay_s: float\n\
         \x20   least: float\n\
         \x20   greatest: float\n\
         \x20   definition: str\n\n\n\
         #: What a model's manifest must state.\n\
         SCHEMA_HASH: Final = {}\n\n\
         FEATURES: Final = (\n",
        text(&schema_hash())
    );
    for f in &FEATURES {
        let _ = writeln!(file, "    FeatureSpec({}),", row(f));
    }
    file + ")\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_feature_and_the_hash() {
        for (path, text) in files() {
            assert!(FEATURES.iter().all(|f| text.contains(&format!("\"{}\"", f.name))), "{path}");
            assert!(text.contains(&schema_hash()), "{path}");
        }
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(text("a \"b\" \\ $c"), r#""a \"b\" \\ \u0024c""#);
        assert_eq!(double(5.0), "5.0");
    }
}
