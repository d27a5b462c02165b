//! Metrics of child processes, rendered with this process's own.
//!
//! A child process has no HTTP server, so Prometheus cannot scrape it; it sends its
//! metrics to its parent. The parent renders those with a scheduler label only, because
//! the others (memory, build) have the same labels as its own.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

use parking_lot::Mutex;

/// The label of the samples that belong to a scheduler.
const SCHEDULER_LABEL: &str = "scheduler=\"";

/// The last metrics of each child process, by its name. Clones share their state.
#[derive(Clone, Default)]
pub(crate) struct Relayed(Arc<Mutex<BTreeMap<String, String>>>);

/// Takes the metrics of one child process.
#[derive(Clone)]
pub struct Relay {
    name: String,
    relayed: Relayed,
}

impl Relay {
    /// Replaces the metrics of the process, in the Prometheus text format.
    pub fn show(&self, text: String) {
        self.relayed.0.lock().insert(self.name.clone(), text);
    }

    /// Removes the metrics of the process, for instance when it has exited.
    pub fn clear(&self) {
        self.relayed.0.lock().remove(&self.name);
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

    /// `own` merged with the metrics of the child processes.
    pub(crate) fn merge(&self, own: String) -> String {
        let relayed = self.0.lock();
        if relayed.is_empty() {
            return own;
        }
        let mut families = Families::default();
        families.read(&own, |_| true);
        relayed.values().for_each(|text| families.read(text, |sample| sample.contains(SCHEDULER_LABEL)));
        families.write()
    }
}

/// Samples by metric: a page must not repeat a metric.
#[derive(Default)]
struct Families(BTreeMap<String, Family>);

#[derive(Default)]
struct Family {
    comments: Vec<String>,
    /// Values by series (name and labels), in the order of arrival, so that buckets stay
    /// sorted.
    samples: Vec<(String, String)>,
    /// Index in `samples` by series.
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
    /// Adds a sample. If two processes have the same series, the sum is rendered.
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
    fn samples_of_schedulers_are_merged_and_summed() {
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
