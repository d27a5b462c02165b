//! Schedulers that have left: their series are not rendered any more after a while.
//!
//! Workers in pods have ever new names, so without this a page of metrics grows for as long as
//! the process lives. The recorder cannot remove a series, and its own idle timeout would also
//! remove those of a living scheduler whose values do not change. So the series stay in memory,
//! about a kilobyte for each scheduler, and are left out of the page.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long the series of a scheduler that has left are rendered: long enough for every scrape to
/// see their last values.
const KEPT: Duration = Duration::from_secs(600);

const SCHEDULER_LABEL: &str = "scheduler=\"";

static DEPARTED: LazyLock<Mutex<Departed>> = LazyLock::new(Mutex::default);

/// The scheduler has left: its series end in ten minutes.
pub fn scheduler_left(scheduler: &str) {
    DEPARTED.lock().left(scheduler, Instant::now());
}

/// The scheduler is there, for the first time or again. Its counters go on from their last values.
pub fn scheduler_joined(scheduler: &str) {
    DEPARTED.lock().joined(scheduler);
}

/// The page without the series of schedulers that left long ago.
pub(crate) fn without_departed(page: String) -> String {
    DEPARTED.lock().remove_from(page, Instant::now())
}

/// When each scheduler left.
#[derive(Debug, Default)]
struct Departed(HashMap<String, Instant>);

impl Departed {
    fn left(&mut self, scheduler: &str, now: Instant) {
        self.0.insert(scheduler.to_owned(), now);
    }

    fn joined(&mut self, scheduler: &str) {
        self.0.remove(scheduler);
    }

    fn remove_from(&self, page: String, now: Instant) -> String {
        let is_gone = |left: &Instant| now.saturating_duration_since(*left) >= KEPT;
        if !self.0.values().any(is_gone) {
            return page;
        }
        let is_shown =
            |line: &&str| scheduler_of(line).and_then(|name| self.0.get(name)).is_none_or(|left| !is_gone(left));
        page.split_inclusive('\n').filter(is_shown).collect()
    }
}

/// The scheduler label of a sample. Names have no characters that the format escapes.
fn scheduler_of(line: &str) -> Option<&str> {
    if line.starts_with('#') {
        return None;
    }
    let labels = line.split_once('{')?.1;
    let (before, value) = labels.split_once(SCHEDULER_LABEL)?;
    // Not the end of another label's name, or a part of a value.
    (before.is_empty() || before.ends_with("\",")).then(|| value.split('"').next())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP hostler_a Of {scheduler=\"w1.m\"}.\n# TYPE hostler_a gauge\n\
        hostler_a{node=\"n\",model=\"m\",scheduler=\"w1.m\"} 1\n\
        hostler_a{node=\"n\",model=\"m\",scheduler=\"w2.m\"} 2\n\
        hostler_b{scheduler=\"w1.m\",le=\"0.5\"} 3\n\
        hostler_c{node=\"w1.m\",other_scheduler=\"w1.m\"} 4\n\
        hostler_d 5\n";

    #[test]
    fn only_series_of_a_scheduler_that_left_long_ago_are_removed() {
        let (mut departed, now) = (Departed::default(), Instant::now());
        departed.left("w1.m", now);
        assert_eq!(departed.remove_from(PAGE.to_owned(), now + KEPT / 2), PAGE);
        let removed = departed.remove_from(PAGE.to_owned(), now + KEPT);
        let kept: Vec<_> = removed.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            kept,
            [
                "hostler_a{node=\"n\",model=\"m\",scheduler=\"w2.m\"} 2",
                "hostler_c{node=\"w1.m\",other_scheduler=\"w1.m\"} 4",
                "hostler_d 5"
            ]
        );
        assert_eq!(removed.lines().filter(|line| line.starts_with('#')).count(), 2);
        departed.joined("w1.m");
        assert_eq!(departed.remove_from(PAGE.to_owned(), now + KEPT), PAGE);
    }
}
