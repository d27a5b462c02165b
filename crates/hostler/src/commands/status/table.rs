//! Columns that line up, for people.

use console::{Style, measure_text_width};

/// Between two columns.
const GAP: &str = "  ";

/// What stands in a cell.
#[derive(Default)]
pub(super) struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    /// Text of the server's or of somebody's choice.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self { text: harmless(text.as_ref()), style: None }
    }

    /// What is not known is a dash.
    pub(super) fn known(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(|| Self::new("–"), Self::new)
    }

    /// The same in a colour, where there are colours.
    pub(super) fn styled(self, style: Style) -> Self {
        Self { style: Some(style), ..self }
    }
}

/// Text in which what would move a terminal's cursor is replaced.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// Where the text of a column stands.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A table under its columns' names.
pub(super) struct Table<const COLUMNS: usize> {
    sides: [Side; COLUMNS],
    rows: Vec<[Cell; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these columns.
    pub(super) fn new(columns: [(&str, Side); COLUMNS]) -> Self {
        let names = columns.map(|(name, _)| Cell::new(name).styled(Style::new().bold()));
        Self { sides: columns.map(|(_, side)| side), rows: vec![names] }
    }

    pub(super) fn row(&mut self, cells: [Cell; COLUMNS]) {
        self.rows.push(cells);
    }

    /// One line for each row, its columns' names first.
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
                line.push_str(&match self.sides[column] {
                    Side::Left => format!("{gap}{text}{room}"),
                    Side::Right => format!("{gap}{room}{text}"),
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
    fn columns_line_up_in_letters_and_not_in_bytes() {
        let mut table = Table::new([("NAME", Side::Left), ("N", Side::Right), ("WHY", Side::Left)]);
        table.row([Cell::new("größer"), Cell::new("1"), Cell::known(None::<&str>)]);
        table.row([Cell::new("x"), Cell::new("100"), Cell::default()]);
        assert_eq!(table.lines(false), ["NAME      N  WHY", "größer    1  –", "x       100"]);
    }

    #[test]
    fn a_colour_takes_no_room() {
        let mut table = Table::new([("A", Side::Left), ("B", Side::Left)]);
        table.row([Cell::new("ab").styled(Style::new().red()), Cell::new("c")]);
        let coloured = table.lines(true);
        assert_ne!(coloured, table.lines(false));
        let plain: Vec<_> = coloured.iter().map(|line| console::strip_ansi_codes(line).into_owned()).collect();
        assert_eq!(plain, table.lines(false));
    }

    #[test]
    fn no_name_moves_the_cursor() {
        let mut table = Table::new([("A", Side::Left)]);
        table.row([Cell::new("a\u{1b}[2J\nb")]);
        assert_eq!(table.lines(false)[1], "a\u{fffd}[2J\u{fffd}b");
    }
}
