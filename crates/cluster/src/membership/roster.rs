//! The members that are known, by name.

use std::collections::BTreeMap;

use super::records::Member;

/// See the module's first line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster(BTreeMap<String, Member>);

impl Roster {
    /// Members that a configuration lists, and that never change. Their names are not
    /// known before they are reached: they go by their endpoints.
    pub fn fixed<'a>(endpoints: impl IntoIterator<Item = &'a String>) -> Self {
        Self(endpoints.into_iter().map(|endpoint| (endpoint.clone(), Member::at(endpoint))).collect())
    }

    /// The members, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.0.iter()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.0.get(name)
    }

    /// Takes in what stands at a key: a record, or that there is none any more. A
    /// record that cannot be read leaves the one before it.
    pub(super) fn take_in(&mut self, name: &str, record: Option<&[u8]>) {
        match record.map(serde_json::from_slice::<Member>) {
            None => drop(self.0.remove(name)),
            Some(Ok(member)) => drop(self.0.insert(name.to_owned(), member)),
            Some(Err(error)) => tracing::warn!(%error, node = name, "a worker's record in etcd cannot be read"),
        }
    }

    /// Takes in all records at once; who is not among them is no member.
    pub(super) fn replace<'a>(&mut self, records: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
        let records: Vec<_> = records.into_iter().collect();
        self.0.retain(|name, _| records.iter().any(|(other, _)| name == other));
        records.into_iter().for_each(|(name, record)| self.take_in(name, Some(record)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(endpoint: &str) -> Vec<u8> {
        serde_json::to_vec(&Member::at(endpoint)).expect("it is JSON")
    }

    #[test]
    fn it_follows_what_stands_in_etcd() {
        let mut roster = Roster::default();
        roster.replace([("a", &*record("http://a:1")), ("b", &*record("http://b:1"))]);
        roster.take_in("b", None);
        roster.take_in("c", Some(&record("http://c:1")));
        roster.take_in("a", Some(b"no JSON"));
        let known: Vec<_> = roster.iter().map(|(name, member)| (name.as_str(), member.endpoint.as_str())).collect();
        assert_eq!(known, [("a", "http://a:1"), ("c", "http://c:1")]);
        roster.replace([("c", &*record("http://c:2"))]);
        assert_eq!(roster.get("a"), None);
        assert_eq!(roster.get("c"), Some(&Member::at("http://c:2")));
    }
}
