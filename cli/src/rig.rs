//! A Bluetooth daemon, wearables and a server that exist only for a demo.

use crate::Failure;
use firmware_sim::bus::PrivateBus;

/// Starts a private D-Bus and points this process's Bluetooth at it.
///
/// To be called before any other thread exists.
///
/// # Errors
/// When there is no dbus-daemon.
pub fn private_bus() -> Result<PrivateBus, Failure> {
    let bus = PrivateBus::start()?;
    #[allow(unsafe_code, reason = "the variable is the only way to name a bus to BlueZ clients")]
    // SAFETY: the caller is the main thread of a process that has no other thread yet.
    unsafe {
        std::env::set_var("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
    }
    Ok(bus)
}
