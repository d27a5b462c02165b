//! The listed members: the records of workers in etcd, their keys, and the roster of them.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// A worker's record: the value of `PREFIX/nodes/NAME`, as JSON. Readers skip unknown fields, so
/// that a newer version can add some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The endpoint to which gateways connect.
    pub endpoint: String,
    /// A random id of the process, by which a restarted worker is told from one that registers
    /// again.
    #[serde(default)]
    pub instance: String,
    /// The version of its program.
    #[serde(default)]
    pub version: String,
    /// Whether gateways send requests to it.
    #[serde(default, rename = "standing")]
    pub state: MemberState,
    /// Its schedulers. Their states are sent on the connection to the worker.
    #[serde(default)]
    pub schedulers: Vec<MemberScheduler>,
}

/// A scheduler of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberScheduler {
    /// Its name at the worker.
    pub name: String,
    /// The model that it serves.
    pub model: String,
}

/// Whether a worker accepts requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// It does.
    #[default]
    Serving,
    /// It is shutting down: running requests finish, and it gets no new ones.
    Leaving,
}

impl Member {
    /// A worker that is listed in a configuration, of which only the endpoint is known.
    #[must_use]
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            instance: String::new(),
            version: String::new(),
            state: MemberState::Serving,
            schedulers: Vec::new(),
        }
    }
}

/// The listed members, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster(BTreeMap<String, Member>);

impl Roster {
    /// Members that a configuration lists. They never change. Their names are not known before
    /// they are reached, so their endpoints stand for them.
    pub fn fixed<'a>(endpoints: impl IntoIterator<Item = &'a String>) -> Self {
        Self(endpoints.into_iter().map(|endpoint| (endpoint.clone(), Member::at(endpoint))).collect())
    }

    /// The members, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.0.iter()
    }

    /// The member of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.0.get(name)
    }

    /// Applies a change of a record; `None` if it was deleted. An invalid record leaves the member
    /// as it was.
    pub(super) fn apply(&mut self, name: &str, record: Option<&[u8]>) {
        match record.map(serde_json::from_slice::<Member>) {
            None => drop(self.0.remove(name)),
            Some(Ok(member)) => drop(self.0.insert(name.to_owned(), member)),
            Some(Err(error)) => tracing::warn!(%error, node = name, "the record of a worker in etcd is invalid"),
        }
    }

    /// Applies all records at once; members without a record are removed.
    pub(super) fn replace<'a>(&mut self, records: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
        let records: Vec<_> = records.into_iter().collect();
        self.0.retain(|name, _| records.iter().any(|(other, _)| name == other));
        records.into_iter().for_each(|(name, record)| self.apply(name, Some(record)));
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

    /// The prefix of all workers' keys.
    pub(super) fn nodes(&self) -> String {
        format!("{}/nodes/", self.prefix)
    }

    /// The key of a worker.
    pub(super) fn node(&self, name: impl Display) -> String {
        format!("{}{name}", self.nodes())
    }

    /// The prefix of all claims' keys.
    pub(super) fn claims(&self) -> String {
        format!("{}/claims/", self.prefix)
    }

    /// The key of a claim.
    pub(super) fn claim(&self, id: impl Display) -> String {
        format!("{}{id}", self.claims())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_older_and_newer_versions_can_be_read() {
        let old: Member = serde_json::from_str(r#"{"endpoint":"http://a:1"}"#).expect("the other fields have defaults");
        assert_eq!(old, Member::at("http://a:1"));
        let new = r#"{"endpoint":"http://a:1","standing":"leaving","instance":"x","zone":"b"}"#;
        let new: Member = serde_json::from_str(new).expect("unknown fields are skipped");
        assert_eq!((new.state, new.instance.as_str()), (MemberState::Leaving, "x"));
    }

    fn record(endpoint: &str) -> Vec<u8> {
        serde_json::to_vec(&Member::at(endpoint)).expect("it is JSON")
    }

    #[test]
    fn it_follows_the_records_in_etcd() {
        let mut roster = Roster::default();
        roster.replace([("a", &*record("http://a:1")), ("b", &*record("http://b:1"))]);
        roster.apply("b", None);
        roster.apply("c", Some(&record("http://c:1")));
        roster.apply("a", Some(b"no JSON"));
        let known: Vec<_> = roster.iter().map(|(name, member)| (name.as_str(), member.endpoint.as_str())).collect();
        assert_eq!(known, [("a", "http://a:1"), ("c", "http://c:1")]);
        roster.replace([("c", &*record("http://c:2"))]);
        assert_eq!(roster.get("a"), None);
        assert_eq!(roster.get("c"), Some(&Member::at("http://c:2")));
    }
}
