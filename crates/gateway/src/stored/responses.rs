//! The stored responses, shared by the threads that serve HTTP.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_config::StoredResponsesConfig;
use hostler_protocol::TenantId;
use hostler_util::unix_time;
use serde_json::Value;

use super::folder::Folder;
use super::record::Record;
use super::table::Table;

/// The stored responses, in memory and on disk. The files follow the table under its lock.
pub(crate) struct Responses {
    table: Mutex<Table>,
    folder: Option<Folder>,
}

impl Responses {
    /// Opens the store and reads what it holds. `None` if responses are not stored.
    ///
    /// # Errors
    /// The folder cannot be created or read.
    pub(crate) fn open(config: &StoredResponsesConfig) -> io::Result<Option<Arc<Self>>> {
        if !config.enabled {
            return Ok(None);
        }
        let opened = config.store.as_deref().map(Folder::open).transpose()?.flatten();
        let (folder, records) = opened.map_or((None, Vec::new()), |(folder, records)| (Some(folder), records));
        let mut table = Table::new(config);
        for (record, bytes) in records {
            let deleted = table.insert(Arc::new(record), bytes, unix_time().as_secs());
            deleted.iter().for_each(|id| folder.iter().for_each(|folder| folder.remove(id)));
        }
        Ok(Some(Arc::new(Self { table: Mutex::new(table), folder })))
    }

    /// A response of this id that the tenant may see.
    pub(crate) fn get(&self, id: &str, tenant: &TenantId) -> Option<Arc<Record>> {
        let mut table = self.table();
        let deleted = table.expire(unix_time().as_secs());
        self.remove_files(&deleted);
        table.get(id, tenant)
    }

    /// Deletes a response; whether the tenant could.
    pub(crate) fn remove(&self, id: &str, tenant: &TenantId) -> bool {
        let mut table = self.table();
        let removed = table.remove(id, tenant);
        if removed {
            self.remove_files(&[id.to_owned()]);
        }
        removed
    }

    /// Registers a response that begins, until what is returned ends it or is dropped.
    pub(crate) fn begin(self: &Arc<Self>, record: Record) -> RunningResponse {
        let id = record.id.clone();
        self.table().begin(record);
        RunningResponse { responses: Arc::clone(self), id }
    }

    /// Replaces a response that runs by its end. One that was deleted meanwhile is not stored.
    pub(crate) fn end(&self, record: Record) {
        let mut table = self.table();
        if !table.is_running(&record.id) {
            return;
        }
        let json = match serde_json::to_vec(&record) {
            Ok(json) => json,
            Err(error) => return tracing::error!(%error, response = record.id, "cannot serialize a response"),
        };
        let id = record.id.clone();
        let deleted = table.insert(Arc::new(record), json.len(), unix_time().as_secs());
        if !deleted.contains(&id) {
            self.folder.iter().for_each(|folder| folder.save(&id, &json));
        }
        self.remove_files(&deleted);
    }

    fn remove_files(&self, ids: &[String]) {
        if let Some(folder) = &self.folder {
            ids.iter().for_each(|id| folder.remove(id));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A response that runs. Dropping it forgets the response, as when the client disconnects.
pub(crate) struct RunningResponse {
    responses: Arc<Responses>,
    id: String,
}

impl RunningResponse {
    /// Stores how the response ended, unless it was cancelled or deleted meanwhile.
    pub(crate) fn end(&self, response: Value) {
        let running = self.responses.table().running(&self.id);
        if let Some(running) = running {
            self.responses.end(running.with_response(response));
        }
    }
}

impl Drop for RunningResponse {
    fn drop(&mut self) {
        self.responses.table().forget_running(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn open(folder: &Path) -> Arc<Responses> {
        let config = StoredResponsesConfig { store: Some(folder.to_owned()), ..StoredResponsesConfig::default() };
        Responses::open(&config).expect("the folder can be used").expect("it is enabled")
    }

    fn record(id: &str) -> Record {
        let now = unix_time().as_secs();
        Record::new(id.to_owned(), TenantId::from("a"), now, json!({"status": "in_progress"}), vec![json!({"a": 1})])
    }

    #[test]
    fn what_has_ended_is_on_disk_until_it_is_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        let tenant = TenantId::from("a");
        let responses = open(folder.path());
        for id in ["resp_1", "resp_2", "resp_3"] {
            responses.begin(record(id)).end(json!({"status": "completed"}));
        }
        assert!(responses.remove("resp_2", &tenant));
        let abandoned = responses.begin(record("resp_4"));
        assert!(responses.get("resp_4", &tenant).is_some());
        drop(abandoned);
        let deleted = responses.begin(record("resp_5"));
        assert!(responses.remove("resp_5", &tenant));
        deleted.end(json!({"status": "completed"}));
        drop(deleted);
        // A second process keeps its own in memory.
        let second = open(folder.path());
        second.begin(record("resp_6")).end(json!({}));
        assert!(second.get("resp_1", &tenant).is_none());
        drop((responses, second));
        std::fs::write(folder.path().join("resp_7.json"), "{").expect("it is writable");
        let responses = open(folder.path());
        let kept = |id: &str| responses.get(id, &tenant).map(|record| record.response.clone());
        assert_eq!(kept("resp_1"), Some(json!({"status": "completed"})));
        assert_eq!(responses.get("resp_3", &tenant).map(|record| record.input.clone()), Some(vec![json!({"a": 1})]));
        for id in ["resp_2", "resp_4", "resp_5", "resp_6", "resp_7"] {
            assert_eq!(kept(id), None, "{id}");
        }
    }

    #[test]
    fn nothing_is_stored_if_it_is_switched_off() {
        let config = StoredResponsesConfig { enabled: false, ..StoredResponsesConfig::default() };
        assert!(Responses::open(&config).expect("no folder").is_none());
    }
}
