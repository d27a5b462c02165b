//! Tables with aligned columns.
//!
//! Written by hand: comfy-table colours cells only with crossterm, and `console`, which draws
//! the rest of the output, already measures and styles text.

use console::{Style, measure_text_width};

/// Between two columns.
const GAP: &str = "  ";

/// One cell.
#[derive(Default)]
pub(super) struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    /// A cell with this text, which may come from clients.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self { text: printable(text.as_ref()), style: None }
    }

    /// A cell with this text, or a dash.
    pub(super) fn optional(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(|| Self::new("–"), Self::new)
    }

    /// The same cell in this style, if the output has colours.
    pub(super) fn styled(self, style: Style) -> Self {
        Self { style: Some(style), ..self }
    }
}

/// The text with control characters replaced, which could move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// The alignment of a column.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table with a header.
pub(super) struct Table<const COLUMNS: usize> {
    alignments: [Align; COLUMNS],
    rows: Vec<[Cell; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these columns.
    pub(super) fn new(columns: [(&str, Align); COLUMNS]) -> Self {
        let names = columns.map(|(name, _)| Cell::new(name).styled(Style::new().bold()));
        Self { alignments: columns.map(|(_, alignment)| alignment), rows: vec![names] }
    }

    pub(super) fn row(&mut self, cells: [Cell; COLUMNS]) {
        self.rows.push(cells);
    }

    /// The lines of the table, header first.
    pub(super) fn lines(&self, colours: bool) -> Vec<String> {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = measure_text_width(&cell.text).max(*width);
            }
        }
        let line = |row: &[Cell; COLUMNS]| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let room = " ".repeat(widths[column] - measure_text_width(&cell.text));
                let text = match &cell.style {
                    Some(style) => style.clone().force_styling(colours).apply_to(&cell.text).to_string(),
                    None => cell.text.clone(),
                };
                let gap = if column == 0 { "" } else { GAP };
                line.push_str(&match self.alignments[column] {
                    Align::Left => format!("{gap}{text}{room}"),
                    Align::Right => format!("{gap}{room}{text}"),
                });
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_not_by_bytes() {
        let mut table = Table::new([("NAME", Align::Left), ("N", Align::Right), ("WHY", Align::Left)]);
        table.row([Cell::new("größer"), Cell::new("1"), Cell::optional(None::<&str>)]);
        table.row([Cell::new("x"), Cell::new("100"), Cell::default()]);
        assert_eq!(table.lines(false), ["NAME      N  WHY", "größer    1  –", "x       100"]);
    }

    #[test]
    fn a_style_does_not_change_the_width() {
        let mut table = Table::new([("A", Align::Left), ("B", Align::Left)]);
        table.row([Cell::new("ab").styled(Style::new().red()), Cell::new("c")]);
        let coloured = table.lines(true);
        assert_ne!(coloured, table.lines(false));
        let plain: Vec<_> = coloured.iter().map(|line| console::strip_ansi_codes(line).into_owned()).collect();
        assert_eq!(plain, table.lines(false));
    }

    #[test]
    fn control_characters_are_replaced() {
        let mut table = Table::new([("A", Align::Left)]);
        table.row([Cell::new("a\u{1b}[2J\nb")]);
        assert_eq!(table.lines(false)[1], "a\u{fffd}[2J\u{fffd}b");
    }
}
