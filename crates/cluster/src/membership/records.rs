//! What stands in etcd, and under which keys.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// What a worker says of itself: the value of `PREFIX/nodes/NAME`, as JSON. Fields
/// that a reader does not know are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where gateways connect.
    pub endpoint: String,
    /// Different for each process, so that a worker that was started again is told
    /// from one that registers again.
    #[serde(default)]
    pub instance: String,
    /// Version of its program.
    #[serde(default)]
    pub version: String,
    /// Whether gateways shall send requests to it.
    #[serde(default)]
    pub standing: Standing,
    /// What it holds. The connection to it says what each of them does.
    #[serde(default)]
    pub schedulers: Vec<MemberScheduler>,
}

/// A scheduler of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberScheduler {
    /// Its name on the worker.
    pub name: String,
    /// The model that it serves.
    pub model: String,
}

/// Whether a worker takes requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It does.
    #[default]
    Serving,
    /// It is about to end: what runs there is finished, and nothing new shall come.
    Leaving,
}

impl Member {
    /// A member of a list in a configuration: all that is known is where it is.
    #[must_use]
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            instance: String::new(),
            version: String::new(),
            standing: Standing::Serving,
            schedulers: Vec::new(),
        }
    }
}

/// The keys of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// What all workers' keys begin with.
    pub(super) fn nodes(&self) -> String {
        format!("{}/nodes/", self.prefix)
    }

    /// A worker's.
    pub(super) fn node(&self, name: impl Display) -> String {
        format!("{}{name}", self.nodes())
    }

    /// What all claims' keys begin with.
    pub(super) fn claims(&self) -> String {
        format!("{}/claims/", self.prefix)
    }

    /// A claim's.
    pub(super) fn claim(&self, id: impl Display) -> String {
        format!("{}{id}", self.claims())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_version_can_be_read() {
        let old: Member = serde_json::from_str(r#"{"endpoint":"http://a:1"}"#).expect("the rest has defaults");
        assert_eq!(old, Member::at("http://a:1"));
        let new = r#"{"endpoint":"http://a:1","standing":"leaving","instance":"x","zone":"b"}"#;
        let new: Member = serde_json::from_str(new).expect("what is unknown is skipped");
        assert_eq!((new.standing, new.instance.as_str()), (Standing::Leaving, "x"));
    }
}
