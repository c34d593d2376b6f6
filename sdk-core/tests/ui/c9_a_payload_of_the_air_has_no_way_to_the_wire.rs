//! C9: neither can what came over the air.

use sdk_core::sensor::Notification;

fn upload(notification: &Notification) -> String {
    serde_json::to_string(notification).unwrap()
}

fn main() {}
