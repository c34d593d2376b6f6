//! What must not be possible does not compile (C1, C2, C9, C12).
//!
//! After a change of the compiler's words: `TRYBUILD=overwrite cargo test -p sdk-core --test
//! compile_fail`, and look at the difference.

#[test]
fn c1_c2_c9_c12_what_is_forbidden_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
