//! Tables.
//!
//! Written by hand: the Markdown presets of table crates do not write the alignment of the
//! columns, and do not escape bars.

use serde::Serialize;

/// A table: the heading, then the rows.
#[derive(Serialize)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with these columns.
    pub(crate) fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self(vec![columns.into_iter().map(Into::into).collect()])
    }

    /// Adds a row. Missing cells stay empty.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.0.push(cells.into_iter().map(Into::into).collect());
    }

    /// In Markdown that also reads well as plain text: the first column is aligned to the
    /// left, the others to the right.
    pub(crate) fn markdown(&self) -> String {
        let columns = self.0.first().map_or(0, Vec::len);
        let cell =
            |row: &[String], column: usize| row.get(column).map_or(String::new(), |cell| cell.replace('|', "\\|"));
        let width = |column| self.0.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (nth, row) in self.0.iter().enumerate() {
            text.push('|');
            for (column, &width) in widths.iter().enumerate() {
                let cell = cell(row, column);
                text.push_str(&if column == 0 { format!(" {cell:<width$} |") } else { format!(" {cell:>width$} |") });
            }
            text.push('\n');
            if nth == 0 {
                text.push('|');
                for (column, &width) in widths.iter().enumerate() {
                    let (left, right) = if column == 0 { (":", "-") } else { ("-", ":") };
                    text.push_str(&format!("{left}{}{right}|", "-".repeat(width)));
                }
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_bars_are_escaped() {
        let mut table = Table::new(["name", "n"]);
        table.row(["a|b", "1"]);
        table.row(["c"]);
        assert_eq!(table.markdown(), "| name |   n |\n|:-----|----:|\n| a\\|b |   1 |\n| c    |     |\n");
    }
}
