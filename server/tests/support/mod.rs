//! A device as the tests use it, and a server on a real socket.
//!
//! `Device` has a key, one person and a chain of receipts; everything it makes is valid until a
//! test changes a field.

#![allow(dead_code, unused_imports, reason = "every test binary uses a part")]

mod database;
mod device;
mod operator;
mod orders;
mod postgres;
mod running;

pub use database::*;
pub use device::*;
pub use operator::*;
pub use orders::*;
pub use running::*;
