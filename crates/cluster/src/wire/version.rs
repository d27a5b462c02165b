//! Which protocol is spoken.

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};

/// The version that this program speaks. It grows when a message changes its meaning.
pub const PROTOCOL_VERSION: u32 = 1;

/// Where a caller says which version it speaks.
const KEY: &str = "hostler-protocol";

/// Says with every call which version is spoken.
#[derive(Clone, Copy, Debug)]
pub struct Speaks(pub u32);

impl Interceptor for Speaks {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(KEY, MetadataValue::from(self.0));
        Ok(request)
    }
}

/// Refuses callers that speak another version; both are named.
///
/// # Errors
/// `FailedPrecondition`.
pub fn check_version(request: Request<()>) -> Result<Request<()>, Status> {
    let spoken = request.metadata().get(KEY).and_then(|value| value.to_str().ok());
    match spoken.map(str::parse::<u32>) {
        Some(Ok(PROTOCOL_VERSION)) => Ok(request),
        _ => Err(Status::new(
            Code::FailedPrecondition,
            format!(
                "this worker speaks version {PROTOCOL_VERSION} of the protocol, the caller {}; \
                 run the same release of hostler on both sides",
                spoken.map_or_else(|| "does not say which".to_owned(), |spoken| format!("version {spoken}")),
            ),
        )),
    }
}
