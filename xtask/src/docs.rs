//! Writes what is generated of the handbook and of `config/`.

use std::fs;

use anyhow::Context;

const CONFIGURATION: &str = "docs/configuration.md";
const METRICS: &str = "docs/metrics.md";
const BEGIN: &str = "<!-- begin: written by `cargo xtask docs` -->\n";
const END: &str = "<!-- end -->";

/// Writes them. Tests of `hostler-config` and `hostler-telemetry` fail while they
/// are stale.
pub(crate) fn write() -> anyhow::Result<()> {
    fs::write("config/hostler.toml", hostler_config::reference_file()).context("config/hostler.toml")?;
    renew(CONFIGURATION, &hostler_config::reference_table())?;
    renew(METRICS, &hostler_telemetry::reference_tables())
}

fn renew(page: &'static str, table: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(page).context(page)?;
    fs::write(page, replace(&text, table)?).context(page)
}

/// Puts `table` between the two marks.
fn replace(text: &str, table: &str) -> anyhow::Result<String> {
    let (head, rest) = text.split_once(BEGIN).context("the mark where the table begins is missing")?;
    let (_, tail) = rest.split_once(END).context("the mark where the table ends is missing")?;
    Ok(format!("{head}{BEGIN}{table}\n{END}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("head\n{BEGIN}old\n{END}\ntail\n");
        let once = replace(&text, "new").expect("both marks are there");
        assert_eq!(once, format!("head\n{BEGIN}new\n{END}\ntail\n"));
        assert_eq!(replace(&once, "new").expect("both marks are there"), once);
        assert!(replace("no marks", "new").is_err());
    }
}
