//! The GATT services Attune's own drivers and simulator agree on, defined once.
//!
//! Bluetooth SIG numbers: Assigned Numbers, sections 3.4 (services) and 3.8 (characteristics).

use uuid::Uuid;

/// Expands a 16-bit Bluetooth SIG number to its 128-bit form.
#[must_use]
pub const fn sig(number: u16) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_1000_8000_0080_5f9b_34fb | (number as u128) << 96)
}

/// Heart Rate service.
pub const HEART_RATE_SERVICE: Uuid = sig(0x180D);
/// Heart Rate Measurement: notify; payload in [`crate::heart_rate`].
pub const HEART_RATE_MEASUREMENT: Uuid = sig(0x2A37);
/// Body Sensor Location: read, one byte (1 = chest, 2 = wrist).
pub const BODY_SENSOR_LOCATION: Uuid = sig(0x2A38);
/// Battery service.
pub const BATTERY_SERVICE: Uuid = sig(0x180F);
/// Battery Level: read and notify, one byte, percent.
pub const BATTERY_LEVEL: Uuid = sig(0x2A19);
/// Device Information service.
pub const DEVICE_INFORMATION_SERVICE: Uuid = sig(0x180A);
/// Manufacturer Name String: read, UTF-8.
pub const MANUFACTURER_NAME: Uuid = sig(0x2A29);
/// Model Number String: read, UTF-8.
pub const MODEL_NUMBER: Uuid = sig(0x2A24);
/// Serial Number String: read, UTF-8.
pub const SERIAL_NUMBER: Uuid = sig(0x2A25);
/// Firmware Revision String: read, UTF-8.
pub const FIRMWARE_REVISION: Uuid = sig(0x2A26);
/// Hardware Revision String: read, UTF-8.
pub const HARDWARE_REVISION: Uuid = sig(0x2A27);
/// Characteristic Presentation Format descriptor.
pub const PRESENTATION_FORMAT: Uuid = sig(0x2904);

/// Attune's electrodermal activity service. The Bluetooth SIG has none.
pub const EDA_SERVICE: Uuid = Uuid::from_u128(0xa77e_0001_5f3c_4c0a_9d6b_2f1c_7e5b_8a10);
/// EDA Measurement: notify; payload in [`crate::eda_profile`].
pub const EDA_MEASUREMENT: Uuid = Uuid::from_u128(0xa77e_0002_5f3c_4c0a_9d6b_2f1c_7e5b_8a10);

/// Polar Measurement Data service (H10, OH1, Verity Sense). Not advertised: these sensors
/// advertise [`HEART_RATE_SERVICE`].
pub const PMD_SERVICE: Uuid = Uuid::from_u128(0xfb00_5c80_02e7_f387_1cad_8acd_2d8d_f0c8);
/// PMD Control Point: read, write and indicate; [`crate::polar_pmd::control`].
pub const PMD_CONTROL: Uuid = Uuid::from_u128(0xfb00_5c81_02e7_f387_1cad_8acd_2d8d_f0c8);
/// PMD Data: notify; frames of [`crate::polar_pmd`].
pub const PMD_DATA: Uuid = Uuid::from_u128(0xfb00_5c82_02e7_f387_1cad_8acd_2d8d_f0c8);

/// HealthyPi Move's service for ECG and skin conductance.
pub const HEALTHYPI_SERVICE: Uuid = Uuid::from_u128(0x0000_1122_0000_1000_8000_0080_5f9b_34fb);
/// HealthyPi Move GSR: notify; payload in [`crate::healthypi`]. Subscribing starts the stream.
pub const HEALTHYPI_GSR: Uuid = Uuid::from_u128(0xbabe_4a4c_7789_11ed_a1eb_0242_ac12_0002);

/// The transparent serial service of the radio in a Shimmer3.
pub const SHIMMER_SERVICE: Uuid = Uuid::from_u128(0x4953_5343_fe7d_4ae5_8fa9_9faf_d205_e455);
/// Bytes from the Shimmer: notify; [`crate::shimmer`].
pub const SHIMMER_FROM_DEVICE: Uuid = Uuid::from_u128(0x4953_5343_1e4d_4bd9_ba61_23c6_4724_9616);
/// Bytes to the Shimmer: write.
pub const SHIMMER_TO_DEVICE: Uuid = Uuid::from_u128(0x4953_5343_8841_43f4_a8d4_ecbe_3472_9bb3);

/// Presentation format of one EDA sample: unsigned 32-bit (0x08), exponent -12, unit siemens
/// (0x272B), namespace Bluetooth SIG (1), no description.
/// Layout: Bluetooth Core Specification, Vol 3, Part G, 3.3.3.5.
pub const EDA_PRESENTATION_FORMAT: [u8; 7] = [0x08, 0xF4, 0x2B, 0x27, 0x01, 0x00, 0x00];

/// What a client may do with a characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The value can be read.
    pub read: bool,
    /// The value can be written, with an answer.
    pub write: bool,
    /// The value is pushed.
    pub notify: bool,
    /// The value is pushed, and the client confirms each one.
    pub indicate: bool,
}

const NONE: Access = Access { read: false, write: false, notify: false, indicate: false };
const READ: Access = Access { read: true, ..NONE };
const WRITE: Access = Access { write: true, ..NONE };
const NOTIFY: Access = Access { notify: true, ..NONE };
const READ_NOTIFY: Access = Access { read: true, notify: true, ..NONE };
const READ_WRITE_INDICATE: Access = Access { read: true, write: true, indicate: true, ..NONE };

/// One characteristic of a [`Service`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Characteristic {
    /// Its UUID.
    pub uuid: Uuid,
    /// What a client may do with it.
    pub access: Access,
    /// The 0x2904 descriptor, where the value has a unit a generic client could show.
    pub presentation_format: Option<[u8; 7]>,
}

/// One primary service and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its characteristics, in handle order.
    pub characteristics: &'static [Characteristic],
}

const fn plain(uuid: Uuid, access: Access) -> Characteristic {
    Characteristic { uuid, access, presentation_format: None }
}

/// The Heart Rate service as a chest strap shows it.
pub const HEART_RATE: Service = Service {
    uuid: HEART_RATE_SERVICE,
    characteristics: &[plain(HEART_RATE_MEASUREMENT, NOTIFY), plain(BODY_SENSOR_LOCATION, READ)],
};

/// Attune's EDA service.
pub const EDA: Service = Service {
    uuid: EDA_SERVICE,
    characteristics: &[Characteristic {
        uuid: EDA_MEASUREMENT,
        access: NOTIFY,
        presentation_format: Some(EDA_PRESENTATION_FORMAT),
    }],
};

/// Polar Measurement Data.
pub const PMD: Service = Service {
    uuid: PMD_SERVICE,
    characteristics: &[plain(PMD_CONTROL, READ_WRITE_INDICATE), plain(PMD_DATA, NOTIFY)],
};

/// HealthyPi Move's service, as far as it is read.
pub const HEALTHYPI: Service =
    Service { uuid: HEALTHYPI_SERVICE, characteristics: &[plain(HEALTHYPI_GSR, NOTIFY)] };

/// A Shimmer3's serial port.
pub const SHIMMER: Service = Service {
    uuid: SHIMMER_SERVICE,
    characteristics: &[plain(SHIMMER_FROM_DEVICE, NOTIFY), plain(SHIMMER_TO_DEVICE, WRITE)],
};

/// The Battery service.
pub const BATTERY: Service =
    Service { uuid: BATTERY_SERVICE, characteristics: &[plain(BATTERY_LEVEL, READ_NOTIFY)] };

/// The Device Information service.
pub const DEVICE_INFORMATION: Service = Service {
    uuid: DEVICE_INFORMATION_SERVICE,
    characteristics: &[
        plain(MANUFACTURER_NAME, READ),
        plain(MODEL_NUMBER, READ),
        plain(SERIAL_NUMBER, READ),
        plain(FIRMWARE_REVISION, READ),
        plain(HARDWARE_REVISION, READ),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sig_numbers_expand_over_the_base_uuid() {
        assert_eq!(HEART_RATE_SERVICE.to_string(), "0000180d-0000-1000-8000-00805f9b34fb");
        assert_eq!(BATTERY_LEVEL.to_string(), "00002a19-0000-1000-8000-00805f9b34fb");
    }

    #[test]
    fn eda_samples_are_presented_in_picosiemens() {
        let [format, exponent, unit_low, unit_high, ..] = EDA_PRESENTATION_FORMAT;
        assert_eq!(format, 0x08, "uint32");
        assert_eq!(exponent as i8, -12);
        assert_eq!(u16::from_le_bytes([unit_low, unit_high]), 0x272B, "siemens");
    }
}
