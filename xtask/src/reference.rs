//! Pages of the book, and constants of the bindings, that are written by the code they describe.

use crate::{
    constants,
    project::{Project, TaskError},
    promises,
};
use protocol::{
    consent::Modality,
    feature::{FEATURES, schema_hash},
    gatt::{self, Access, Service},
};
use serde::Deserialize;
use std::{fmt::Write as _, fs};
use uuid::Uuid;

/// Stands at the head of each page.
const NOTICE: &str = "<!-- Written by `cargo xtask docs`: change the code, not this page. -->\n\n";

const FEATURES_PAGE: &str = "docs/src/reference/features.md";
/// The features of people that come with Attune, in the order of a model's inputs.
const DEFINITIONS: &str = "models/src/profile/standard.toml";
const GATT_PAGE: &str = "docs/src/reference/gatt.md";
/// Its module text holds the byte table.
const EDA_SOURCE: &str = "protocol/src/eda_profile.rs";

/// Writes the pages.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(project: &Project) -> Result<(), TaskError> {
    for (path, text) in pages(project)? {
        let path = project.root.join(path);
        let folder = path.parent().unwrap_or(&project.root);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(|source| TaskError::File { path, source })?;
    }
    Ok(())
}

/// The pages whose file is not what would be written now.
///
/// # Errors
/// When the code's own text cannot be read.
pub fn stale(project: &Project) -> Result<Vec<&'static str>, TaskError> {
    let pages = pages(project)?.into_iter();
    let differs =
        pages.filter(|(path, text)| project.read(path).ok().as_deref() != Some(text.as_str()));
    Ok(differs.map(|(path, _)| path).collect())
}

fn pages(project: &Project) -> Result<Vec<(&'static str, String)>, TaskError> {
    let eda_source = project.read(EDA_SOURCE)?;
    let definitions = project.read(DEFINITIONS)?;
    let pages = [
        (FEATURES_PAGE, features_page() + &people_section(&definitions)?),
        (GATT_PAGE, gatt_page(&eda_source)),
        (promises::PAGE, format!("{NOTICE}{}", promises::page(project)?)),
    ];
    Ok(pages.into_iter().chain(constants::files()).collect())
}

fn features_page() -> String {
    let mut page = format!(
        "{NOTICE}# Features\n\n\
         Every number the intent model sees, in the order of its inputs. The window slides with \
         the stream's own time. Values outside the range are clipped before they reach the model; \
         a feature whose window holds too little good data is missing, and the model is told. The \
         delay is how far the causal value lies behind the same value computed with the whole \
         record at hand.\n\n\
         | feature | modality | unit | window | delay | range | what it is |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for f in FEATURES {
        let modality = match f.modality {
            Modality::Eda => "EDA",
            Modality::Hrv => "HRV",
            other => other.name(),
        };
        let (low, high) = f.range;
        // Writing to a String does not fail.
        let _ = writeln!(
            page,
            "| `{}` | {modality} | {} | {} s | {} s | {low} to {high} | {} |",
            f.name, f.unit, f.window_s, f.delay_s, f.source
        );
    }
    let _ = write!(
        page,
        "\nSchema hash, as a model's manifest must state it:\n\n```text\n{}\n```\n",
        schema_hash()
    );
    page
}

/// What the definitions of people's features hold, as far as the page shows it.
#[derive(Deserialize)]
struct Definitions {
    feature: Vec<Definition>,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
    source: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    aggregation: String,
    window_days: Option<u32>,
    half_life_days: Option<f64>,
    ahead_days: Option<u32>,
    fresh_days: Option<u32>,
    purpose: String,
    says: String,
}

fn people_section(definitions: &str) -> Result<String, TaskError> {
    let definitions: Definitions = toml::from_str(definitions)
        .map_err(|error| TaskError::Found(format!("{DEFINITIONS} cannot be read: {error}")))?;
    let mut section = "\n## Features of people\n\n\
         What the server computes about a person, in the order of a model's inputs, from the facts \
         that it was told and that the person agreed to. The definitions are data: \
         `feature_definitions` in the server's settings names a file of your own, and \
         `GET /v1/features` shows those in force. Days are calendar days of UTC, or of the \
         definitions' `utc_offset_minutes`; a window of n days is today and the n - 1 days before. \
         Values are brought up to date in the transaction that stores a fact, and a training set \
         holds exactly what was known at each time. \"Fresh\" says after how many days without a new \
         fact a value is missing.\n\n\
         | feature | source | how | window | fresh | purpose | says |\n\
         |---|---|---|---|---|---|---|\n"
        .to_owned();
    for f in definitions.feature {
        let source = match (&f.source, f.names.as_slice()) {
            (None, _) => "the time".to_owned(),
            (Some(source), []) => source.replace('_', " "),
            (Some(source), names) => format!("{}: {}", source.replace('_', " "), names.join(", ")),
        };
        let how = f.aggregation.replace('_', " ");
        let how = match (f.half_life_days, f.ahead_days) {
            (Some(days), _) => format!("{how}, half after {days} d"),
            (_, Some(days)) => format!("{how}, next {days} d"),
            _ => how,
        };
        let days = |days: Option<u32>| days.map_or(String::new(), |days| format!("{days} d"));
        let window = match (f.window_days, &f.source) {
            (None, Some(_)) => "all".to_owned(),
            (window, _) => days(window),
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            section,
            "| `{}` | {source} | {how} | {window} | {} | {} | {} |",
            f.name,
            days(f.fresh_days),
            f.purpose,
            f.says
        );
    }
    Ok(section)
}

fn gatt_page(eda_source: &str) -> String {
    let mut page = format!(
        "{NOTICE}# Bluetooth services\n\n\
         What the drivers read and the simulator shows. Numbers of the Bluetooth SIG are written \
         short (0x180D).\n"
    );
    let services = [
        gatt::HEART_RATE,
        gatt::EDA,
        gatt::PMD,
        gatt::HEALTHYPI,
        gatt::SHIMMER,
        gatt::BATTERY,
        gatt::DEVICE_INFORMATION,
    ];
    for service in services {
        page.push_str(&service_section(&service));
    }
    let format: Vec<_> =
        gatt::EDA_PRESENTATION_FORMAT.iter().map(|byte| format!("{byte:02X}")).collect();
    let _ = write!(
        page,
        "\nThe EDA Measurement carries a Characteristic Presentation Format descriptor (0x2904): \
         `{}`, which is uint32, exponent -12, siemens.\n\n\
         ## EDA Measurement, byte by byte\n\n{}\n",
        format.join(" "),
        module_text(eda_source)
    );
    page
}

fn service_section(service: &Service) -> String {
    let mut section = format!(
        "\n## {}\n\n`{}`\n\n| characteristic | UUID | access |\n|---|---|---|\n",
        name(service.uuid),
        short(service.uuid)
    );
    for c in service.characteristics {
        let _ =
            writeln!(section, "| {} | `{}` | {} |", name(c.uuid), short(c.uuid), access(c.access));
    }
    section
}

fn access(access: Access) -> String {
    let Access { read, write, notify, indicate } = access;
    let all = [(read, "read"), (write, "write"), (notify, "notify"), (indicate, "indicate")];
    let granted: Vec<_> = all.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
    granted.join(", ")
}

/// What people call it: Bluetooth Assigned Numbers, and the profile's own names.
fn name(uuid: Uuid) -> &'static str {
    match uuid {
        gatt::HEART_RATE_SERVICE => "Heart Rate",
        gatt::HEART_RATE_MEASUREMENT => "Heart Rate Measurement",
        gatt::BODY_SENSOR_LOCATION => "Body Sensor Location",
        gatt::BATTERY_SERVICE => "Battery",
        gatt::BATTERY_LEVEL => "Battery Level",
        gatt::DEVICE_INFORMATION_SERVICE => "Device Information",
        gatt::MANUFACTURER_NAME => "Manufacturer Name String",
        gatt::MODEL_NUMBER => "Model Number String",
        gatt::SERIAL_NUMBER => "Serial Number String",
        gatt::FIRMWARE_REVISION => "Firmware Revision String",
        gatt::HARDWARE_REVISION => "Hardware Revision String",
        gatt::EDA_SERVICE => "Electrodermal Activity (Attune)",
        gatt::EDA_MEASUREMENT => "EDA Measurement",
        gatt::PMD_SERVICE => "Polar Measurement Data",
        gatt::PMD_CONTROL => "PMD Control Point",
        gatt::PMD_DATA => "PMD Data",
        gatt::HEALTHYPI_SERVICE => "HealthyPi Move",
        gatt::HEALTHYPI_GSR => "GSR",
        gatt::SHIMMER_SERVICE => "Shimmer3 serial port",
        gatt::SHIMMER_FROM_DEVICE => "From the device",
        gatt::SHIMMER_TO_DEVICE => "To the device",
        _ => "unnamed",
    }
}

/// 16-bit numbers of the Bluetooth SIG short, others in full.
fn short(uuid: Uuid) -> String {
    let number = (uuid.as_u128() >> 96) as u16;
    if gatt::sig(number) == uuid { format!("0x{number:04X}") } else { uuid.to_string() }
}

/// The text at the head of a module: the one place where the bytes are described.
fn module_text(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>();
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_a_row() {
        let page = features_page();
        assert!(FEATURES.iter().all(|f| page.contains(&format!("| `{}` |", f.name))));
        assert!(page.contains(&schema_hash()));
    }

    #[test]
    fn every_feature_of_people_has_a_row() {
        let text = include_str!("../../models/src/profile/standard.toml");
        let section = people_section(text).unwrap();
        assert_eq!(section.matches("\n| `").count(), text.matches("[[feature]]").count());
        let row = "| `age_band` | demographics: age_band | latest | all |  | conversion | is in age \
                   band {n} |";
        assert!(section.contains(row), "{section}");
        assert!(people_section("feature = 1").is_err());
    }

    #[test]
    fn every_characteristic_has_a_name_and_a_number() {
        let page = gatt_page("//! Bytes.\n//!\n//! | 0 | version |\n\nuse x;\n//! not this");
        assert!(!page.contains("unnamed"), "{page}");
        assert!(page.contains("| Heart Rate Measurement | `0x2A37` | notify |"));
        assert!(page.contains("a77e0002-5f3c-4c0a-9d6b-2f1c7e5b8a10"));
        assert!(page.ends_with("Bytes.\n\n| 0 | version |\n"), "{page}");
    }
}
