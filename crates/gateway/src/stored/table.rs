//! Which responses are known, within bounds of number, size and age. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hostler_config::StoredResponsesConfig;
use hostler_protocol::TenantId;

use super::record::Record;

/// The responses, of which those that run do not count towards the bounds.
pub(super) struct Table {
    kept_max: usize,
    bytes_max: usize,
    age_max_seconds: u64,
    running: HashMap<String, Arc<Record>>,
    ended: HashMap<String, Ended>,
    /// Those that have ended, the oldest first.
    order: BTreeSet<(u64, String)>,
    bytes: usize,
}

struct Ended {
    record: Arc<Record>,
    bytes: usize,
}

impl Table {
    pub(super) fn new(config: &StoredResponsesConfig) -> Self {
        Self {
            kept_max: config.kept_max,
            bytes_max: config.bytes_max,
            age_max_seconds: config.age_max.as_secs(),
            running: HashMap::new(),
            ended: HashMap::new(),
            order: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// A response begins.
    pub(super) fn begin(&mut self, record: Record) {
        self.running.insert(record.id.clone(), Arc::new(record));
    }

    /// A response that runs.
    pub(super) fn running(&self, id: &str) -> Option<Arc<Record>> {
        self.running.get(id).cloned()
    }

    /// Whether a response runs.
    pub(super) fn is_running(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    /// A response ends without a result that could be kept.
    pub(super) fn forget_running(&mut self, id: &str) {
        self.running.remove(id);
    }

    /// Adds a response that has ended, and takes `bytes` of JSON. Returns the ids of those that
    /// are deleted for it, which may include its own.
    pub(super) fn insert(&mut self, record: Arc<Record>, bytes: usize, now: u64) -> Vec<String> {
        self.running.remove(&record.id);
        self.take(&record.id);
        self.bytes += bytes;
        self.order.insert((record.created, record.id.clone()));
        self.ended.insert(record.id.clone(), Ended { record, bytes });
        self.expire(now)
    }

    /// Deletes what exceeds the bounds, the oldest first, and returns the ids.
    pub(super) fn expire(&mut self, now: u64) -> Vec<String> {
        let mut deleted = Vec::new();
        while let Some((created, id)) = self.order.first() {
            let is_old = now.saturating_sub(*created) >= self.age_max_seconds;
            if !is_old && self.ended.len() <= self.kept_max && self.bytes <= self.bytes_max {
                break;
            }
            let id = id.clone();
            self.take(&id);
            deleted.push(id);
        }
        deleted
    }

    /// The response of this id, if the tenant may see it.
    pub(super) fn get(&self, id: &str, tenant: &TenantId) -> Option<Arc<Record>> {
        let record = self.running.get(id).or_else(|| self.ended.get(id).map(|ended| &ended.record))?;
        (record.tenant == *tenant).then(|| Arc::clone(record))
    }

    /// Deletes the response of this id; whether the tenant could.
    pub(super) fn remove(&mut self, id: &str, tenant: &TenantId) -> bool {
        let exists = self.get(id, tenant).is_some();
        if exists {
            self.running.remove(id);
            self.take(id);
        }
        exists
    }

    fn take(&mut self, id: &str) {
        if let Some(Ended { record, bytes }) = self.ended.remove(id) {
            self.order.remove(&(record.created, record.id.clone()));
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn table() -> Table {
        let age_max = Duration::from_secs(100);
        Table::new(&StoredResponsesConfig { kept_max: 3, bytes_max: 1000, age_max, ..StoredResponsesConfig::default() })
    }

    fn record(id: &str, created: u64) -> Record {
        Record::new(id.to_owned(), TenantId::from("a"), created, json!({}), Vec::new())
    }

    fn known(table: &Table) -> Vec<&str> {
        assert_eq!(table.bytes, table.ended.values().map(|ended| ended.bytes).sum::<usize>());
        assert_eq!(table.order.len(), table.ended.len());
        table.order.iter().map(|(_, id)| id.as_str()).collect()
    }

    #[test]
    fn the_oldest_are_deleted_by_number_size_and_age() {
        let mut table = table();
        for (id, created) in [("b", 1), ("a", 2), ("c", 3)] {
            assert!(table.insert(Arc::new(record(id, created)), 100, 3).is_empty());
        }
        assert_eq!(table.insert(Arc::new(record("d", 4)), 100, 4), ["b"]);
        assert_eq!(table.insert(Arc::new(record("e", 5)), 850, 5), ["a", "c"]);
        assert_eq!(table.expire(103), Vec::<String>::new());
        assert_eq!(table.expire(104), ["d"]);
        assert_eq!(known(&table), ["e"]);
        // One that is too large for all of them is not kept either.
        assert_eq!(table.insert(Arc::new(record("f", 6)), 1001, 6), ["e", "f"]);
        assert_eq!(known(&table), Vec::<&str>::new());
    }

    #[test]
    fn another_tenant_neither_sees_nor_deletes_a_response() {
        let mut table = table();
        let (mine, other) = (TenantId::from("a"), TenantId::from("b"));
        table.begin(record("r", 1));
        table.insert(Arc::new(record("e", 1)), 10, 1);
        for id in ["r", "e"] {
            assert!(table.get(id, &other).is_none());
            assert!(!table.remove(id, &other));
            assert!(table.get(id, &mine).is_some());
            assert!(table.remove(id, &mine));
            assert!(table.get(id, &mine).is_none());
        }
        assert!(known(&table).is_empty() && !table.is_running("r"));
    }

    #[test]
    fn one_that_runs_becomes_one_that_has_ended() {
        let mut table = table();
        table.begin(record("r", 1));
        assert!(table.is_running("r"));
        table.insert(Arc::new(record("r", 1)), 10, 1);
        table.insert(Arc::new(record("r", 1)), 20, 1);
        assert!(!table.is_running("r"));
        assert_eq!((known(&table), table.bytes), (vec!["r"], 20));
        table.begin(record("s", 1));
        table.forget_running("s");
        assert!(table.get("s", &TenantId::from("a")).is_none());
    }
}
