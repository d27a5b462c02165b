//! What is stored of a response.

use hostler_protocol::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the files; a file of another one is skipped.
pub(super) const FORMAT: u32 = 1;

/// A response, and what it was generated from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(super) format: u32,
    /// `resp_` and digits.
    pub(crate) id: String,
    /// Only its clients see the response.
    pub(crate) tenant: TenantId,
    /// In seconds since 1970.
    pub(crate) created: u64,
    /// The response, as the client got it.
    pub(crate) response: Value,
    /// All items that it was generated from, with those of earlier responses that it continues.
    pub(crate) input: Vec<Value>,
}

impl Record {
    /// A record in the present format.
    pub(crate) fn new(id: String, tenant: TenantId, created: u64, response: Value, input: Vec<Value>) -> Self {
        Self { format: FORMAT, id, tenant, created, response, input }
    }

    /// The same with another response.
    pub(crate) fn with_response(&self, response: Value) -> Self {
        Self { response, ..self.clone() }
    }
}
