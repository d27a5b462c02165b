//! The handbook against the catalogue.

use hostler_telemetry::reference_tables;

const HANDBOOK: &str = include_str!("../../../docs/metrics.md");

#[test]
fn the_handbook_is_up_to_date() {
    assert!(HANDBOOK.contains(&reference_tables()), "docs/metrics.md is stale: run `cargo xtask docs`");
}
