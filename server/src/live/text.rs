//! Numbers, ids and shapes as people read them.

use protocol::{feature::FeatureSpec, offer::Money};
use uuid::Uuid;

/// Width of a sparkline, in its own units.
pub(crate) const SPARK_WIDTH: f64 = 120.0;
/// Height of a sparkline, in its own units.
pub(crate) const SPARK_HEIGHT: f64 = 28.0;
/// Room for the line's own thickness at the top and the bottom.
const SPARK_MARGIN: f64 = 3.0;

/// The end of an id: enough to tell two apart on a page, too little to look somebody up.
/// (A UUIDv7 begins with the time: its end is what differs.)
pub(crate) fn short_id(id: Uuid) -> String {
    let hex = id.simple().to_string();
    format!("…{}", &hex[hex.len() - 6..])
}

/// About three significant digits, with a true minus sign.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if size >= 1e6 => format!("{size:.1e}"),
        _ if size >= 100.0 => format!("{size:.0}"),
        _ if size >= 10.0 => format!("{size:.1}"),
        _ => format!("{size:.2}"),
    };
    let zero = !text.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    if value < 0.0 && !zero { format!("−{text}") } else { text }
}

/// A share as whole percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Session time as minutes and seconds.
pub(crate) fn minutes(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A time of day in UTC.
pub(crate) fn time_of_day(unix_ms: i64) -> String {
    let of_day = unix_ms.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02} UTC", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// How a price stands to its reference, such as "−5.0 %"; empty at the same price.
pub(crate) fn price_change(price: Money, reference: Money) -> String {
    if price == reference || reference.minor == 0 {
        return String::new();
    }
    let change = 100.0 * (price.minor as f64 / reference.minor as f64 - 1.0);
    let sign = if change < 0.0 { "−" } else { "+" };
    format!("{sign}{:.1} %", change.abs())
}

/// A feature's name without what stands elsewhere: "eda_scl_mean_5s" reads "SCL mean",
/// "eda_phasic_sd_30s" reads "Phasic SD".
pub(crate) fn feature_label(spec: &FeatureSpec) -> String {
    let prefix = format!("{}_", spec.modality.name());
    let window = format!("_{}s", spec.window_s);
    let name = spec.name.strip_prefix(&prefix).unwrap_or(spec.name);
    let name = name.strip_suffix(&window).unwrap_or(name);
    let words = name.split('_').map(|word| match word {
        "scl" | "scr" | "hr" | "rmssd" | "sdnn" | "sd" => word.to_uppercase(),
        "pnn50" => "pNN50".to_owned(),
        other => other.to_owned(),
    });
    let label = words.collect::<Vec<_>>().join(" ");
    if label.starts_with("pNN") { label } else { capitalised(&label) }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A unit with the signs that a wire name cannot have.
pub(crate) fn unit(spec: &FeatureSpec) -> String {
    match spec.unit {
        "1" => String::new(),
        other => other.replace("uS", "µS").replace('*', "·"),
    }
}

/// The corners of a sparkline, in SVG's notation; the last is where the newest value stands.
pub(crate) fn spark(values: impl ExactSizeIterator<Item = f64> + Clone) -> Vec<(f64, f64)> {
    let (least, most) = values
        .clone()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    let steps = values.len().saturating_sub(1).max(1) as f64;
    let place = |(step, value): (usize, f64)| {
        // Halves: the difference of two finite numbers may not be finite.
        let (span, above) = (most / 2.0 - least / 2.0, value / 2.0 - least / 2.0);
        let share = if span > 0.0 { above / span } else { 0.5 };
        let (width, height) = (SPARK_WIDTH - 2.0 * SPARK_MARGIN, SPARK_HEIGHT - 2.0 * SPARK_MARGIN);
        (SPARK_MARGIN + width * step as f64 / steps, SPARK_MARGIN + height * (1.0 - share))
    };
    values.enumerate().map(place).collect()
}

/// Corners in SVG's notation.
pub(crate) fn corners(places: &[(f64, f64)]) -> String {
    let corner = |(x, y): &(f64, f64)| format!("{x:.1},{y:.1}");
    places.iter().map(corner).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::{feature::FEATURES, offer::Currency};

    #[test]
    fn numbers_read_well() {
        for (value, expected) in [
            (0.0, "0.00"),
            (-0.001, "0.00"),
            (-1.5, "−1.50"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1e300, "1.0e300"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn features_read_well() {
        let labels: Vec<_> = FEATURES
            .iter()
            .map(|f| format!("{} ({}, {} s)", feature_label(f), unit(f), f.window_s))
            .collect();
        assert_eq!(labels[0], "SCL mean (µS, 5 s)");
        assert_eq!(labels[2], "Phasic area (µS·s, 10 s)");
        assert_eq!(labels[11], "pNN50 (%, 30 s)");
        assert_eq!(labels[12], "Coherence ratio (, 64 s)");
    }

    #[test]
    fn prices_are_compared_with_their_reference() {
        let euro = |minor| Money { minor, currency: Currency::EUR };
        assert_eq!(price_change(euro(95), euro(100)), "−5.0 %");
        assert_eq!(price_change(euro(103), euro(100)), "+3.0 %");
        assert_eq!(price_change(euro(100), euro(100)), "");
        assert_eq!(price_change(euro(100), euro(0)), "");
    }

    #[test]
    fn times_before_1970_are_times_of_day() {
        assert_eq!(time_of_day(-1), "23:59:59 UTC");
        assert_eq!(time_of_day(3_661_000), "01:01:01 UTC");
        assert_eq!(time_of_day(i64::MIN).len(), "00:00:00 UTC".len());
        assert_eq!(minutes(61_000), "1:01");
    }

    proptest! {
        #[test]
        fn sparklines_stay_in_their_box(
            values in proptest::collection::vec(
                any::<f64>().prop_filter("JSON has no others", |v| v.is_finite()), 0..70)
        ) {
            let places = spark(values.iter().copied());
            prop_assert_eq!(places.len(), values.len());
            for (x, y) in places {
                prop_assert!((0.0..=SPARK_WIDTH).contains(&x), "{}", x);
                prop_assert!((0.0..=SPARK_HEIGHT).contains(&y), "{}", y);
            }
        }
    }
}
