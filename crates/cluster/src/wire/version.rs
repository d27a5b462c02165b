//! The protocol version: the caller sends it with each call, and the worker checks it.

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};

/// The version of this program. It is incremented when the meaning of a message changes.
pub const PROTOCOL_VERSION: u32 = 2;

/// The metadata key under which a caller sends its version.
const KEY: &str = "hostler-protocol";

/// Sends the version with each call.
#[derive(Clone, Copy, Debug)]
pub struct SendVersion(pub u32);

impl Interceptor for SendVersion {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(KEY, MetadataValue::from(self.0));
        Ok(request)
    }
}

/// Refuses callers with another version.
///
/// # Errors
/// `FailedPrecondition`, which names both versions.
pub fn check_version(request: Request<()>) -> Result<Request<()>, Status> {
    let version = request.metadata().get(KEY).and_then(|value| value.to_str().ok());
    match version.map(str::parse::<u32>) {
        Some(Ok(PROTOCOL_VERSION)) => Ok(request),
        _ => Err(Status::new(
            Code::FailedPrecondition,
            format!(
                "the worker speaks version {PROTOCOL_VERSION} of the protocol, and the caller sent {}; \
                 run the same release of hostler on both sides",
                version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}")),
            ),
        )),
    }
}
