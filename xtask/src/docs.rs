//! Writes the generated parts of `docs/` and `config/`.

use std::fs;

use anyhow::Context;

const CONFIGURATION: &str = "docs/configuration.md";
const METRICS: &str = "docs/metrics.md";
const BEGIN: &str = "<!-- begin: written by `cargo xtask docs` -->\n";
const END: &str = "<!-- end -->";

/// Tests of `hostler-config` and `hostler-telemetry` fail while these files are stale.
pub(crate) fn write() -> anyhow::Result<()> {
    fs::write("config/hostler.toml", hostler_config::reference_file()).context("config/hostler.toml")?;
    update(CONFIGURATION, &hostler_config::reference_table())?;
    update(METRICS, &hostler_telemetry::reference_tables())
}

fn update(page: &'static str, table: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(page).context(page)?;
    fs::write(page, replace(&text, table)?).context(page)
}

/// Replaces the text between the two markers.
fn replace(text: &str, table: &str) -> anyhow::Result<String> {
    let (head, rest) = text.split_once(BEGIN).context("the marker before the generated table is missing")?;
    let (_, tail) = rest.split_once(END).context("the marker after the generated table is missing")?;
    Ok(format!("{head}{BEGIN}{table}\n{END}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_markers_changes() {
        let text = format!("head\n{BEGIN}old\n{END}\ntail\n");
        let once = replace(&text, "new").expect("both markers exist");
        assert_eq!(once, format!("head\n{BEGIN}new\n{END}\ntail\n"));
        assert_eq!(replace(&once, "new").expect("both markers exist"), once);
        assert!(replace("no markers", "new").is_err());
    }
}
