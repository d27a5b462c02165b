//! `docs/metrics.md` is up to date with the catalogue.

use hostler_telemetry::reference_tables;

const DOCS: &str = include_str!("../../../docs/metrics.md");

#[test]
fn docs_are_up_to_date() {
    assert!(DOCS.contains(&reference_tables()), "docs/metrics.md is stale: run `cargo xtask docs`");
}
