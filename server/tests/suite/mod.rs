//! Every test that asks a server about what it stores: each store's test binary holds them all.

mod api;
mod auth;
mod authorisation;
mod consent;
mod features;
mod hostile;
mod intake;
mod intake_order;
mod intake_people;
mod intake_table;
mod keys;
mod kills;
mod operations;
mod order;
mod page;
mod predictions;
mod privacy;
