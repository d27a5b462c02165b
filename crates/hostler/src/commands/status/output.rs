//! Shows the cluster: once, repeatedly, or in place on a terminal.

use std::io::{self, Write};
use std::time::Duration;

use console::{Term, truncate_str};
use serde_json::json;

use super::query::Answer;
use super::tables;

/// The form of the output.
pub(super) enum Output {
    /// One JSON object per line.
    Json,
    /// Tables, one group after the other.
    Text {
        /// Whether a group has been written before.
        again: bool,
    },
    /// Tables that are redrawn in place.
    Screen(Screen),
}

/// A terminal whose content is redrawn.
pub(super) struct Screen {
    term: Term,
    /// The server, and how to end the command.
    title: String,
    /// The tables that were drawn last.
    lines: Vec<String>,
}

impl Output {
    /// The output of one query.
    pub(super) fn once(as_json: bool) -> Self {
        if as_json { Self::Json } else { Self::Text { again: false } }
    }

    /// The output of queries to `url` every `interval` seconds: in place on a terminal.
    pub(super) fn watching(as_json: bool, url: &str, interval: f64) -> Self {
        let term = Term::buffered_stdout();
        if as_json || !term.is_term() || console::is_dumb() {
            return Self::once(as_json);
        }
        let title = format!("{url}, every {interval} s; Ctrl-C ends");
        Self::Screen(Screen { term, title, lines: Vec::new() })
    }

    /// Shows an answer.
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

    /// Shows why there is no answer any more; the last one was received `age` ago.
    pub(super) fn show_unavailable(&mut self, reason: &str, age: Duration) -> io::Result<()> {
        match self {
            Self::Json => writeln!(io::stderr(), "{}", json!({ "error": reason })),
            Self::Text { .. } => writeln!(io::stderr(), "error: {reason}"),
            Self::Screen(screen) => screen.draw(&format!("no answer for {} s: {reason}; Ctrl-C ends", age.as_secs())),
        }
    }
}

fn write(lines: &[impl AsRef<str>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{}", line.as_ref()))?;
    out.flush()
}

impl Screen {
    /// Redraws the whole screen in one write.
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

/// Restores the terminal for the shell.
impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, there is no cursor to show.
        let _ = self.term.show_cursor();
        let _ = self.term.flush();
    }
}

/// The lines that fit on a screen of this height, whose last line is the cursor's.
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
    fn a_small_screen_shows_how_many_lines_are_hidden() {
        let lines: Vec<String> = (0..5).map(|line| line.to_string()).collect();
        assert_eq!(fitting("t", &lines, 8), ["t", "", "0", "1", "2", "3", "4"]);
        assert_eq!(fitting("t", &lines, 6), ["t", "", "0", "1", "… 3 more lines"]);
        assert_eq!(fitting("t", &lines, 0), ["… 7 more lines"]);
    }
}
