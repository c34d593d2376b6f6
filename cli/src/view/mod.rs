//! What a person sees of a running session: the state of it ([`Board`]) and a terminal screen.

mod board;
mod meter;
mod screen;
mod terminal;

pub use board::Board;
pub use meter::LatencyMs;
pub use screen::draw;
pub use terminal::{Key, Terminal};
