//! A new migration file is part of the binary: compile again when one appears.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
