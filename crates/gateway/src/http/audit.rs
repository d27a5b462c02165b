//! The audit trail: a line for each administrative act and each attempt at one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

/// Where the lines go: a file, or the log.
pub(crate) struct Audit(Option<Mutex<File>>);

/// Who did what, with which outcome. It contains no key and nothing of a body.
#[derive(Serialize)]
pub(super) struct Act<'a> {
    /// The name of the caller's key; `None` if it was refused, or no keys are configured.
    pub(super) key: Option<&'a str>,
    pub(super) role: Option<&'static str>,
    /// The address of the client, or of the proxy in front.
    pub(super) address: Option<String>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// The status of the response.
    pub(super) status: u16,
    pub(super) request_id: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    act: &'a Act<'a>,
}

impl Audit {
    /// Opens the file, to append to it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(|path| OpenOptions::new().append(true).create(true).open(path)).transpose()?;
        Ok(Self(file.map(Mutex::new)))
    }

    pub(super) fn record(&self, act: &Act<'_>) {
        let Some(file) = &self.0 else {
            let Act { key, role, address, method, path, status, request_id } = act;
            return tracing::info!(key, role, address, method, path, status, request_id, "audit");
        };
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let line = serde_json::to_string(&Line { time, act }).expect("a line consists of plain values");
        // One write, so that lines of several processes do not mix.
        let written = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{line}\n").as_bytes());
        if let Err(error) = written {
            tracing::error!(%error, line, "cannot write to the audit file");
        }
    }
}
