//! Requests on which two schedulers failed: the same content is refused for a while, so that a
//! client that sends it again and again does not take one scheduler after the other down.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use hostler_protocol::{ErrorCode, GenerationRequest, RequestError};
use parking_lot::Mutex;

/// Schedulers that must have failed on one request.
const FAILURES: u32 = 2;

/// How long the content is refused: longer than clients retry by themselves, and short enough
/// for one that met two unrelated failures.
const REFUSED: Duration = Duration::from_secs(60);

/// Most requests that are remembered; the oldest is forgotten. Each has cost two engines.
const REMEMBERED_MAX: usize = 256;

/// The fingerprints of requests that are refused now, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Mutex<VecDeque<(u64, Instant)>>);

impl Suspects {
    /// # Errors
    /// `Unavailable` if two schedulers failed on the same content a short time ago.
    pub(crate) fn check(&self, request: &GenerationRequest, now: Instant) -> Result<(), RequestError> {
        // Hashing takes longer than everything else, and is needed only after failures.
        if self.0.lock().is_empty() {
            return Ok(());
        }
        let fingerprint = fingerprint(request);
        let mut suspects = self.0.lock();
        suspects.retain(|&(_, until)| now < until);
        let Some(&(_, until)) = suspects.iter().find(|(suspect, _)| *suspect == fingerprint) else { return Ok(()) };
        let left = until.saturating_duration_since(now);
        let message = format!(
            "{FAILURES} schedulers failed while they ran a request with the same content; it is refused for {} s",
            left.as_secs() + 1
        );
        Err(RequestError::unavailable(message).with_retry_after(left))
    }

    fn record(&self, request: &GenerationRequest, now: Instant) {
        let fingerprint = fingerprint(request);
        let mut suspects = self.0.lock();
        suspects.retain(|&(suspect, until)| now < until && suspect != fingerprint);
        if suspects.len() == REMEMBERED_MAX {
            suspects.pop_front();
        }
        suspects.push_back((fingerprint, now + REFUSED));
    }

    fn forget(&self, request: &GenerationRequest) {
        let fingerprint = fingerprint(request);
        self.0.lock().retain(|&(suspect, _)| suspect != fingerprint);
    }
}

/// The schedulers that failed on one request.
#[derive(Debug, Default)]
pub(crate) struct Failures(u32);

impl Failures {
    /// A scheduler that had started the request failed.
    pub(crate) fn failed(&mut self, error: &RequestError, request: &GenerationRequest, suspects: &Suspects) {
        let is_crash = match error.code {
            ErrorCode::EngineFailed => true,
            // The process or its machine is gone.
            ErrorCode::Unavailable => !error.is_expected,
            _ => false,
        };
        self.0 += u32::from(is_crash);
        if is_crash && self.0 == FAILURES {
            tracing::warn!(id = %request.id, %error, "two schedulers failed on one request; refusing its content");
            suspects.record(request, Instant::now());
        }
    }

    /// The request was answered, so it is not what made the schedulers fail.
    pub(crate) fn finished(&self, request: &GenerationRequest, suspects: &Suspects) {
        if self.0 >= FAILURES {
            suspects.forget(request);
        }
    }
}

/// A hash of what an engine gets to see.
fn fingerprint(request: &GenerationRequest) -> u64 {
    let GenerationRequest { model, prompt, sampling, stop, constraint, calls, top_logprobs, .. } = request;
    let mut hasher = DefaultHasher::new();
    // Some of these have floating-point numbers, which are not `Hash`.
    format!("{prompt:?} {sampling:?} {stop:?}").hash(&mut hasher);
    (model.as_str(), constraint, calls, top_logprobs).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use hostler_protocol::Prompt;

    use super::*;

    fn request(prompt: &str) -> GenerationRequest {
        GenerationRequest::new("m".into(), Prompt::Text(prompt.to_owned()))
    }

    #[test]
    fn the_second_failure_refuses_the_same_content_for_a_while() {
        let (suspects, mut failures) = (Suspects::default(), Failures::default());
        let crash = RequestError::new(ErrorCode::EngineFailed, "crashed");
        let now = Instant::now();
        failures.failed(&crash, &request("bad"), &suspects);
        failures.failed(&RequestError::unavailable("draining").expected(), &request("bad"), &suspects);
        assert_eq!(suspects.check(&request("bad"), now), Ok(()), "one failure is no pattern");
        failures.failed(&RequestError::unavailable("lost"), &request("bad"), &suspects);
        let error = suspects.check(&request("bad"), now).expect_err("two schedulers failed");
        assert!(error.message.contains("same content"), "{}", error.message);
        assert!(error.retry_after.is_some_and(|after| after > Duration::from_secs(50)));
        assert_eq!(suspects.check(&request("good"), now), Ok(()));
        assert_eq!(suspects.check(&request("bad"), now + REFUSED * 2), Ok(()), "the time is over");
    }

    #[test]
    fn an_answer_acquits_and_the_memory_is_bounded() {
        let suspects = Suspects::default();
        let now = Instant::now();
        suspects.record(&request("fine"), now);
        Failures(FAILURES).finished(&request("fine"), &suspects);
        assert_eq!(suspects.check(&request("fine"), now), Ok(()));
        for n in 0..2 * REMEMBERED_MAX {
            suspects.record(&request(&n.to_string()), now);
        }
        assert_eq!(suspects.0.lock().len(), REMEMBERED_MAX);
        assert!(suspects.check(&request("511"), now).is_err());
    }
}
