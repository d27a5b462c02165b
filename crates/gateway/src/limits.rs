//! Every bound of the HTTP API that is not a matter of configuration.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Most generations of one HTTP request: its prompts times `n`. Eight are what
/// a default batch holds; more would let one request fill a scheduler.
pub(crate) const GENERATIONS_MAX: u32 = 8;

/// Most messages of one conversation. At four tokens a message, the least that
/// any template makes of one, this is beyond the contexts of small models.
pub(crate) const MESSAGES_MAX: usize = 1024;

/// Most parts of one message's content; more is a client that splits by words.
pub(crate) const CONTENT_PARTS_MAX: usize = 256;

/// Most alternatives a position, as in OpenAI's chat API.
pub(crate) const TOP_LOGPROBS_MAX: u32 = 20;

/// Longest schema, regular expression or grammar, in bytes: compiling one costs
/// far more than reading it.
pub(crate) const CONSTRAINT_BYTES_MAX: usize = 64 * 1024;

/// Longest `model`, in bytes. Names come back in error messages.
pub(crate) const MODEL_NAME_BYTES_MAX: usize = 256;

/// Longest name of a claim's owner, in bytes: it stands in error messages.
pub(crate) const CLAIM_OWNER_BYTES_MAX: usize = 128;

/// How long a claim may last without a heartbeat, in seconds. Below a second, a busy
/// network ends it; for more than an hour nobody shall have to wait for a dead tool.
pub(crate) const CLAIM_TTL_SECONDS: RangeInclusive<f64> = 1.0..=3600.0;

/// Longest `x-request-id` that is taken over, in bytes: it goes into every log line.
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 128;

/// Most token ids that `/detokenize` takes: the longest context in use today.
pub(crate) const DETOKENIZE_TOKENS_MAX: usize = 131_072;

/// Most texts of one request for embeddings, as in OpenAI's API.
pub(crate) const EMBEDDING_INPUTS_MAX: usize = 2048;

/// Longest error message, in bytes. Messages quote what the client sent.
pub(crate) const ERROR_MESSAGE_BYTES_MAX: usize = 512;

/// A body that is too large is read and thrown away up to this size, so that
/// the client gets to read the refusal instead of a reset connection.
pub(crate) const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes of stream output that are gathered before they are handed to the
/// connection: a burst goes out in one write, and no connection holds much.
pub(crate) const FRAME_BYTES: usize = 8 * 1024;

/// Most tenants that have series of their own in the metrics; those beyond share
/// one. A hundred keep a page of metrics readable.
pub(crate) const TENANT_LABELS_MAX: usize = 100;

/// Schedulers end a request at its deadline. One that is this much overdue has
/// been lost, and the gateway answers in the scheduler's place.
pub(crate) const DEADLINE_GRACE: Duration = Duration::from_secs(2);

/// How long slow readers may take, once everything has been generated, before
/// a server that shuts down closes their connections. In seconds.
pub(crate) const LAST_BYTES: Duration = Duration::from_secs(5);

/// `max_tokens` where OpenAI's completions API leaves it out.
pub(crate) const COMPLETION_MAX_TOKENS_DEFAULT: u32 = 16;

/// `max_tokens` where a native request leaves it out.
pub(crate) const NATIVE_MAX_TOKENS_DEFAULT: u32 = 128;
