//! Metrics of schedulers that run in processes of their own, shown among this one's.
//!
//! A child records what its scheduler does, and nobody scrapes it: it hands its metrics
//! to its parent. Of those, what belongs to a scheduler is shown; the rest (memory,
//! build) has the same labels as the parent's own.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The label by which a sample belongs to a scheduler.
const SCHEDULER_LABEL: &str = "scheduler=\"";

/// What others handed over, by who they are. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Relayed(Arc<Mutex<BTreeMap<String, String>>>);

/// Where one other process's metrics go.
#[derive(Clone)]
pub struct Relay {
    name: String,
    relayed: Relayed,
}

impl Relay {
    /// Shows these, in Prometheus' text format, in place of what it showed before.
    pub fn show(&self, text: String) {
        self.relayed.lock().insert(self.name.clone(), text);
    }

    /// Shows nothing any more: what a process that is gone measured last is not so now.
    pub fn clear(&self) {
        self.relayed.lock().remove(&self.name);
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Relayed {
    pub(crate) fn relay(&self, name: &str) -> Relay {
        Relay { name: name.to_owned(), relayed: self.clone() }
    }

    /// `own`, and what others handed over.
    pub(crate) fn merge(&self, own: String) -> String {
        let relayed = self.lock();
        if relayed.is_empty() {
            return own;
        }
        let mut families = Families::default();
        families.read(&own, |_| true);
        relayed.values().for_each(|text| families.read(text, |sample| sample.contains(SCHEDULER_LABEL)));
        families.write()
    }

    /// A thread that panicked while it held the lock left a whole map behind.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Samples by the metric that they belong to: a page names each metric once.
#[derive(Default)]
struct Families(BTreeMap<String, Family>);

#[derive(Default)]
struct Family {
    comments: Vec<String>,
    /// Value by name and labels, in the order of their coming: buckets stay sorted.
    samples: Vec<(String, String)>,
    places: BTreeMap<String, usize>,
}

impl Families {
    fn read(&mut self, text: &str, wanted: impl Fn(&str) -> bool) {
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(comment) = line.strip_prefix("# ") {
                current = comment.split(' ').nth(1).unwrap_or_default().to_owned();
                let family = self.0.entry(current.clone()).or_default();
                let kind = line.split(' ').nth(1);
                if !family.comments.iter().any(|known| known.split(' ').nth(1) == kind) {
                    family.comments.push(line.to_owned());
                }
            } else if wanted(line)
                && let Some((series, value)) = line.rsplit_once(' ')
            {
                self.0.entry(current.clone()).or_default().add(series, value);
            }
        }
    }

    fn write(&self) -> String {
        let mut text = String::new();
        for family in self.0.values().filter(|family| !family.samples.is_empty()) {
            family.comments.iter().for_each(|comment| text.push_str(&format!("{comment}\n")));
            for (series, value) in &family.samples {
                let _ = writeln!(text, "{series} {value}");
            }
            text.push('\n');
        }
        text
    }
}

impl Family {
    /// A series that two processes count is the sum of both.
    fn add(&mut self, series: &str, value: &str) {
        let Some(&place) = self.places.get(series) else {
            self.places.insert(series.to_owned(), self.samples.len());
            self.samples.push((series.to_owned(), value.to_owned()));
            return;
        };
        let known = &mut self.samples[place].1;
        if let (Ok(left), Ok(right)) = (known.parse::<f64>(), value.parse::<f64>()) {
            *known = (left + right).to_string();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "# HELP restarts Restarts.\n# TYPE restarts counter\nrestarts{scheduler=\"a\",node=\"n\"} 2\n\n\
        # TYPE memory gauge\nmemory{node=\"n\"} 7\n";
    const OTHER: &str = "# TYPE restarts counter\nrestarts{scheduler=\"a\",node=\"n\"} 1\nrestarts{scheduler=\"b\"} 4\n\n\
        # TYPE memory gauge\nmemory{node=\"n\"} 9\n\n# TYPE tokens counter\ntokens{scheduler=\"a\"} 5\n";

    #[test]
    fn what_belongs_to_a_scheduler_is_shown_once_and_summed() {
        let relayed = Relayed::default();
        assert_eq!(relayed.merge(OWN.to_owned()), OWN);
        let relay = relayed.relay("a");
        relay.show(OTHER.to_owned());
        let merged = relayed.merge(OWN.to_owned());
        assert!(merged.contains("restarts{scheduler=\"a\",node=\"n\"} 3\nrestarts{scheduler=\"b\"} 4"), "{merged}");
        assert!(merged.contains("memory{node=\"n\"} 7") && !merged.contains("} 9"), "{merged}");
        assert!(merged.contains("tokens{scheduler=\"a\"} 5"), "{merged}");
        assert_eq!(merged.matches("# TYPE restarts").count(), 1, "{merged}");
        relay.clear();
        assert_eq!(relayed.merge(OWN.to_owned()), OWN);
    }
}
