//! Where the cluster is shown: once, block after block, or on a screen in place.

use std::io::{self, Write};
use std::time::Duration;

use console::{Term, truncate_str};
use serde_json::json;

use super::ask::Answer;
use super::tables;

/// What is written, and where.
pub(super) enum Output {
    /// One JSON object a line.
    Json,
    /// Tables, one after the other.
    Text {
        /// Whether some stand there already.
        again: bool,
    },
    /// Tables in place.
    Screen(Screen),
}

/// A terminal that is drawn over.
pub(super) struct Screen {
    term: Term,
    /// What is watched, and how it is ended.
    title: String,
    /// The tables that were drawn last.
    lines: Vec<String>,
}

impl Output {
    /// For one look.
    pub(super) fn once(as_json: bool) -> Self {
        if as_json { Self::Json } else { Self::Text { again: false } }
    }

    /// For looks at `url` every `interval` seconds: in place where there is a terminal.
    pub(super) fn watching(as_json: bool, url: &str, interval: f64) -> Self {
        let term = Term::buffered_stdout();
        if as_json || !term.is_term() || console::is_dumb() {
            return Self::once(as_json);
        }
        let title = format!("{url}, every {interval} s; Ctrl-C ends");
        Self::Screen(Screen { term, title, lines: Vec::new() })
    }

    /// Shows what a Hostler said.
    pub(super) fn show(&mut self, answer: &Answer) -> io::Result<()> {
        match self {
            Self::Json => write(&[&answer.json]),
            Self::Text { again } => {
                let mut lines = tables::lines(&answer.cluster, console::colors_enabled());
                if std::mem::replace(again, true) {
                    lines.insert(0, String::new());
                }
                write(&lines)
            }
            Self::Screen(screen) => {
                screen.lines = tables::lines(&answer.cluster, console::colors_enabled());
                screen.draw(&screen.title)
            }
        }
    }

    /// Says why a Hostler says nothing any more; it was heard `age` ago.
    pub(super) fn show_away(&mut self, why: &str, age: Duration) -> io::Result<()> {
        match self {
            Self::Json => writeln!(io::stderr(), "{}", json!({ "error": why })),
            Self::Text { .. } => writeln!(io::stderr(), "error: {why}"),
            Self::Screen(screen) => screen.draw(&format!("not heard for {} s: {why}; Ctrl-C ends", age.as_secs())),
        }
    }
}

fn write(lines: &[impl AsRef<str>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{}", line.as_ref()))?;
    out.flush()
}

impl Screen {
    /// Draws everything, from the upper left corner, at once.
    fn draw(&self, title: &str) -> io::Result<()> {
        let (height, width) = self.term.size();
        self.term.hide_cursor()?;
        self.term.move_cursor_to(0, 0)?;
        for line in fitting(title, &self.lines, height.into()) {
            self.term.clear_line()?;
            self.term.write_line(&truncate_str(&line, width.into(), "…"))?;
        }
        self.term.clear_to_end_of_screen()?;
        self.term.flush()
    }
}

/// The terminal is the shell's again.
impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no cursor.
        let _ = self.term.show_cursor();
        let _ = self.term.flush();
    }
}

/// What a screen of so many lines has room for; the last line is the cursor's.
fn fitting(title: &str, lines: &[String], height: usize) -> Vec<String> {
    let mut fitting: Vec<String> = [title.to_owned(), String::new()].into_iter().chain(lines.iter().cloned()).collect();
    let room = height.saturating_sub(1);
    if fitting.len() > room {
        let hidden = fitting.len() - room.saturating_sub(1);
        fitting.truncate(room.saturating_sub(1));
        fitting.push(format!("… {hidden} more lines"));
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_screen_says_what_it_leaves_out() {
        let lines: Vec<String> = (0..5).map(|line| line.to_string()).collect();
        assert_eq!(fitting("t", &lines, 8), ["t", "", "0", "1", "2", "3", "4"]);
        assert_eq!(fitting("t", &lines, 6), ["t", "", "0", "1", "… 3 more lines"]);
        assert_eq!(fitting("t", &lines, 0), ["… 7 more lines"]);
    }
}
