//! Tables that read well both as Markdown and as plain text.

use super::html::escaped;

/// A table with a heading.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(super) fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self { rows: vec![columns.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row; what it lacks stays empty.
    pub(super) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// In Markdown: the first column to the left, numbers to the right.
    pub(super) fn markdown(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let cell =
            |row: &[String], column: usize| row.get(column).map_or(String::new(), |cell| cell.replace('|', "\\|"));
        let width = |column| self.rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (nth, row) in self.rows.iter().enumerate() {
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

    /// In HTML.
    pub(super) fn html(&self) -> String {
        let row = |(nth, row): (usize, &Vec<String>)| {
            let tag = if nth == 0 { "th" } else { "td" };
            let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let rows: String = self.rows.iter().enumerate().map(row).collect();
        format!("<table>\n{rows}</table>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_bars_are_escaped() {
        let mut table = Table::new(["name", "n"]);
        table.row(["a|b", "1"]);
        table.row(["c"]);
        assert_eq!(table.markdown(), "| name |   n |\n|:-----|----:|\n| a\\|b |   1 |\n| c    |     |\n");
        assert!(table.html().contains("<tr><td>a|b</td><td>1</td></tr>"));
    }
}
