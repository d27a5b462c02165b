//! What a metric is, and how a component gets hold of one.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, with_recorder};

/// The label that every series carries besides those of its metric: the process
/// that recorded it.
pub const NODE: &str = "node";

/// The declaration of one metric.
#[derive(Debug)]
pub struct Metric {
    /// `hostler_<component>_<quantity>_<unit>`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// One sentence for whoever reads `/metrics`.
    pub help: &'static str,
    /// The labels that it carries, in this order.
    pub labels: &'static [&'static str],
}

/// The kinds of metric, a histogram with the upper bounds of its buckets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram(&'static [f64]),
}

/// Label values, in the order in which the metric declares its labels.
pub type Labels<'a> = &'a [&'a str];

const METADATA: Metadata<'static> = Metadata::new("hostler", Level::INFO, None);

/// Units, as they stand last in a name.
const UNITS: &[&str] = &["seconds", "tokens", "bytes", "ratio"];

impl Metric {
    /// What it is measured in, by its name; `None` for a plain count or a flag.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let last = name.rsplit('_').next()?;
        UNITS.iter().copied().find(|&unit| unit == last)
    }

    /// A handle on the counter with these label values.
    pub fn counter(&self, labels: Labels<'_>) -> Counter {
        debug_assert!(matches!(self.kind, Kind::Counter), "{} is no counter", self.name);
        with_recorder(|recorder| recorder.register_counter(&self.key(labels), &METADATA))
    }

    /// A handle on the gauge with these label values.
    pub fn gauge(&self, labels: Labels<'_>) -> Gauge {
        debug_assert!(matches!(self.kind, Kind::Gauge), "{} is no gauge", self.name);
        with_recorder(|recorder| recorder.register_gauge(&self.key(labels), &METADATA))
    }

    /// A handle on the histogram with these label values.
    pub fn histogram(&self, labels: Labels<'_>) -> Histogram {
        debug_assert!(matches!(self.kind, Kind::Histogram(_)), "{} is no histogram", self.name);
        with_recorder(|recorder| recorder.register_histogram(&self.key(labels), &METADATA))
    }

    fn key(&self, values: Labels<'_>) -> Key {
        assert_eq!(self.labels.len(), values.len(), "{} takes the labels {:?}", self.name, self.labels);
        let labels: Vec<Label> =
            self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
        Key::from_parts(KeyName::from_const_str(self.name), labels)
    }
}
