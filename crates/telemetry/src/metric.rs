//! The declaration of a metric, and its handles.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, with_recorder};

/// The label that every series has in addition to those of its metric: the name of the
/// process that recorded it.
pub const NODE: &str = "node";

/// The declaration of one metric.
#[derive(Debug)]
pub struct Metric {
    /// `hostler_<component>_<quantity>_<unit>`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The help text in `/metrics` and `docs/metrics.md`.
    pub help: &'static str,
    /// The label names, in this order.
    pub labels: &'static [&'static str],
}

/// The kind of a metric. A histogram has the upper bounds of its buckets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A value that only increases.
    Counter,
    /// A value that increases and decreases.
    Gauge,
    /// A distribution of values.
    Histogram(&'static [f64]),
}

/// Label values, in the order in which the metric declares its labels.
pub type Labels<'a> = &'a [&'a str];

/// Upper bounds of histogram buckets, in seconds or tokens. vLLM's inter-token buckets
/// begin at 10 ms, which is too coarse for small models; these begin at 0.5 ms.
pub mod buckets {
    /// Time between tokens.
    pub const INTER_TOKEN_SECONDS: &[f64] =
        &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];

    /// Time to first token, and time in the queue.
    pub const FIRST_TOKEN_SECONDS: &[f64] = &[
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
        160.0,
    ];

    /// Duration of whole requests.
    pub const REQUEST_SECONDS: &[f64] =
        &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0];

    /// Lengths of prompts and answers.
    pub const TOKENS: &[f64] =
        &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0];

    /// The scales with their names in `docs/metrics.md`.
    pub const SCALES: &[(&str, &[f64])] = &[
        ("gaps between tokens", INTER_TOKEN_SECONDS),
        ("first token and queue", FIRST_TOKEN_SECONDS),
        ("whole requests", REQUEST_SECONDS),
        ("lengths", TOKENS),
    ];
}

const METADATA: Metadata<'static> = Metadata::new("hostler", Level::INFO, None);

/// Units, which are the last part of a name.
const UNITS: &[&str] = &["seconds", "tokens", "bytes", "ratio", "watts", "celsius", "joules"];

impl Metric {
    /// The unit, from its name; `None` for a plain count or a flag.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let last = name.rsplit('_').next()?;
        UNITS.iter().copied().find(|&unit| unit == last)
    }

    /// A handle to the counter with these label values.
    pub fn counter(&self, labels: Labels<'_>) -> Counter {
        debug_assert!(matches!(self.kind, Kind::Counter), "{} is not a counter", self.name);
        with_recorder(|recorder| recorder.register_counter(&self.key(labels), &METADATA))
    }

    /// A handle to the gauge with these label values.
    pub fn gauge(&self, labels: Labels<'_>) -> Gauge {
        debug_assert!(matches!(self.kind, Kind::Gauge), "{} is not a gauge", self.name);
        with_recorder(|recorder| recorder.register_gauge(&self.key(labels), &METADATA))
    }

    /// A handle to the histogram with these label values.
    pub fn histogram(&self, labels: Labels<'_>) -> Histogram {
        debug_assert!(matches!(self.kind, Kind::Histogram(_)), "{} is not a histogram", self.name);
        with_recorder(|recorder| recorder.register_histogram(&self.key(labels), &METADATA))
    }

    fn key(&self, values: Labels<'_>) -> Key {
        assert_eq!(self.labels.len(), values.len(), "{} takes the labels {:?}", self.name, self.labels);
        let labels: Vec<Label> =
            self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
        Key::from_parts(KeyName::from_const_str(self.name), labels)
    }
}
