//! The keys in force: those of the configuration and those of `server.key_file`, which is read
//! again when it changes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hostler_config::{ApiKey, ServerConfig, parse_keys, render_keys};
use hostler_protocol::{ErrorCode, RequestError};

use super::keys::KeyTable;
use super::watch::{Version, version};

/// Every key, and the table that requests are checked against.
pub(crate) struct Keys {
    configured: BTreeMap<String, ApiKey>,
    file: Option<PathBuf>,
    stored: Mutex<Stored>,
    table: RwLock<Arc<KeyTable>>,
}

/// What was last read from the file.
#[derive(Default)]
struct Stored {
    keys: BTreeMap<String, ApiKey>,
    /// `None`: there was no file.
    version: Option<Version>,
}

impl Keys {
    /// Reads the file, if one is configured. It need not exist.
    ///
    /// # Errors
    /// The file cannot be read, or is invalid.
    pub(crate) fn open(config: &ServerConfig) -> io::Result<Self> {
        let is_open = config.is_open();
        let table = if is_open { KeyTable::everyone() } else { KeyTable::default() };
        let keys = Self {
            configured: config.api_keys.clone(),
            file: config.key_file.clone(),
            stored: Mutex::default(),
            table: RwLock::new(Arc::new(table)),
        };
        if !is_open {
            keys.read(&mut keys.lock()).map_err(io::Error::other)?;
        }
        Ok(keys)
    }

    /// The table in force.
    pub(crate) fn table(&self) -> Arc<KeyTable> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every key by its name, and whether it is in the file.
    pub(crate) fn list(&self) -> Vec<(String, ApiKey, bool)> {
        let entry = |is_stored| move |(name, key): (&String, &ApiKey)| (name.clone(), key.clone(), is_stored);
        let mut all: Vec<_> = self.configured.iter().map(entry(false)).collect();
        all.extend(self.lock().keys.iter().map(entry(true)));
        all
    }

    /// Adds a key to the file. Blocks.
    ///
    /// # Errors
    /// The name exists, or the file cannot be changed.
    pub(crate) fn add(&self, name: &str, key: ApiKey) -> Result<(), RequestError> {
        self.change(|keys| match keys.insert(name.to_owned(), key) {
            None => Ok(()),
            Some(_) => Err(RequestError::invalid("name", format!("an API key {name:?} exists"))),
        })
    }

    /// Removes a key from the file. Blocks.
    ///
    /// # Errors
    /// The file has no such key, or cannot be changed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), RequestError> {
        if self.configured.contains_key(name) {
            let message = format!("the API key {name:?} is in the configuration; remove it there");
            return Err(RequestError::invalid("name", message));
        }
        self.change(|keys| match keys.remove(name) {
            Some(_) => Ok(()),
            None => Err(RequestError {
                param: Some("name".into()),
                ..RequestError::new(ErrorCode::NotFound, "there is no API key of this name")
            }),
        })
    }

    /// Reads the file as it is now, changes its keys, and replaces it.
    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, ApiKey>) -> Result<(), RequestError>,
    ) -> Result<(), RequestError> {
        let failed = |message| RequestError::new(ErrorCode::Internal, format!("the key file: {message}"));
        let Some(path) = &self.file else {
            let message = "API keys can be changed only with server.key_file, in which they are stored";
            return Err(RequestError::new(ErrorCode::InvalidRequest, message));
        };
        let mut stored = self.lock();
        self.read(&mut stored).map_err(failed)?;
        let mut keys = stored.keys.clone();
        change(&mut keys)?;
        let table = self.merged(&keys).map_err(|message| RequestError::invalid("name", message))?;
        replace(path, &render_keys(&keys)).map_err(|error| failed(error.to_string()))?;
        *stored = Stored { keys, version: version(path) };
        self.apply(table);
        Ok(())
    }

    /// Reads the file if it has changed since it was last read. Blocks.
    pub(crate) fn refresh(&self) {
        let Some(path) = &self.file else { return };
        let mut stored = self.lock();
        let now = version(path);
        if now == stored.version {
            return;
        }
        match self.read(&mut stored) {
            Ok(()) => tracing::info!(keys = stored.keys.len(), path = %path.display(), "read the key file"),
            Err(error) => {
                // The next attempt is made when the file has changed again.
                stored.version = now;
                tracing::error!(error, path = %path.display(), "the key file is invalid; the previous keys stay valid");
            }
        }
    }

    fn read(&self, stored: &mut Stored) -> Result<(), String> {
        let mut read = Stored::default();
        if let Some(path) = &self.file {
            // The version first: a change while the file is read is seen the next time.
            read.version = version(path);
            match fs::read_to_string(path) {
                Ok(text) => {
                    read.keys = parse_keys(&path.display().to_string(), &text).map_err(|error| error.to_string())?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
            }
        }
        self.apply(self.merged(&read.keys)?);
        *stored = read;
        Ok(())
    }

    /// The table of the keys of the configuration and of the file.
    fn merged(&self, stored: &BTreeMap<String, ApiKey>) -> Result<KeyTable, String> {
        let mut all = self.configured.clone();
        for (name, key) in stored {
            if let Some((other, _)) =
                all.iter().find(|(other, theirs)| *other == name || theirs.sha256() == key.sha256())
            {
                return Err(format!("the API key {name:?} has the name or the secret of {other:?}"));
            }
            all.insert(name.clone(), key.clone());
        }
        Ok(KeyTable::new(&all, &self.table()))
    }

    fn apply(&self, table: KeyTable) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    fn lock(&self) -> MutexGuard<'_, Stored> {
        // A panic leaves what was last read, which is complete.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces a file as a whole, so that a reader sees either version. Only its owner can read it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
