//! The limits of the HTTP API that cannot be configured.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Most answers of one HTTP request: its prompts times `n`. Their ids differ in these bits.
pub(crate) const ANSWERS_MAX: u32 = 128;
pub(crate) const ANSWER_BITS: u32 = ANSWERS_MAX - 1;

/// Most answers of one HTTP request that are generated at a time; the others follow in order.
/// Eight is the default batch size; more would let one request fill a scheduler.
pub(crate) const CONCURRENT_MAX: usize = 8;

/// Most messages of one conversation. At four tokens a message, the least that any chat
/// template renders, this exceeds the contexts of small models.
pub(crate) const MESSAGES_MAX: usize = 1024;

/// Most parts of one message's content; only a client that splits by words sends more.
pub(crate) const CONTENT_PARTS_MAX: usize = 256;

/// Most tools of a request, as in OpenAI's API.
pub(crate) const TOOLS_MAX: usize = 128;

/// Longest name of a tool, as in OpenAI's API.
pub(crate) const TOOL_NAME_BYTES_MAX: usize = 64;

/// Most tool calls in one message: OpenAI allows as many tools.
pub(crate) const TOOL_CALLS_MAX: usize = 128;

/// Most alternatives per position, as in OpenAI's chat API.
pub(crate) const TOP_LOGPROBS_MAX: u32 = 20;

/// Longest `cache_salt`: room for a digest in any notation. It is kept with every cached prefix.
pub(crate) const CACHE_SALT_BYTES_MAX: usize = 256;

/// Longest schema, regular expression or grammar, in bytes: compiling one costs far more than
/// reading it.
pub(crate) const CONSTRAINT_BYTES_MAX: usize = 64 * 1024;

/// Longest `model`, in bytes. Error messages quote it.
pub(crate) const MODEL_NAME_BYTES_MAX: usize = 256;

/// Longest name of a claim's owner, in bytes. Error messages quote it.
pub(crate) const CLAIM_OWNER_BYTES_MAX: usize = 128;

/// How long a claim may last without a heartbeat, in seconds. Below a second, a busy network
/// would end it; above an hour, a crashed tool would hold its scheduler too long.
pub(crate) const CLAIM_TTL_SECONDS: RangeInclusive<f64> = 1.0..=3600.0;

/// Longest `x-request-id` that is accepted, in bytes: it is written to every log line.
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 128;

/// Most token ids that `/detokenize` accepts: the longest context in use today.
pub(crate) const DETOKENIZE_TOKENS_MAX: usize = 131_072;

/// Most texts of one embeddings request, as in OpenAI's API.
pub(crate) const EMBEDDING_INPUTS_MAX: usize = 2048;

/// Longest error message, in bytes. Messages quote what the client sent.
pub(crate) const ERROR_MESSAGE_BYTES_MAX: usize = 512;

/// A body that is too large is read and discarded up to this size, so that the client can read
/// the error response instead of seeing a reset connection.
pub(crate) const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes of stream output that are collected before the connection gets them: a burst goes
/// out in one write, and no connection buffers much.
pub(crate) const FRAME_BYTES: usize = 8 * 1024;

/// Most tenants that have their own series in the metrics; the rest share one. A page of
/// metrics with a hundred is still readable.
pub(crate) const TENANT_LABELS_MAX: usize = 100;

/// Schedulers end a request at its deadline. If a request is overdue by this much, its
/// scheduler is considered lost, and the gateway responds instead.
pub(crate) const DEADLINE_GRACE: Duration = Duration::from_secs(2);

/// How long a server that shuts down waits for slow readers, after everything has been
/// generated, before it closes their connections.
pub(crate) const LAST_BYTES: Duration = Duration::from_secs(5);

/// `max_tokens` of a completions request that omits it, as in OpenAI's API.
pub(crate) const COMPLETION_MAX_TOKENS_DEFAULT: u32 = 16;

/// `max_tokens` of a native request that omits it.
pub(crate) const NATIVE_MAX_TOKENS_DEFAULT: u32 = 128;
