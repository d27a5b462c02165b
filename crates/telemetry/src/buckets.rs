//! Upper bounds of histogram buckets, in seconds or tokens. vLLM's inter-token
//! buckets begin at 10 ms and are blind for small models; these begin at 0.5 ms.

/// Gaps between tokens.
pub const INTER_TOKEN_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];

/// Time to the first token, and time in the queue.
pub const FIRST_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0,
];

/// Whole requests.
pub const REQUEST_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0];

/// Lengths of prompts and answers.
pub const TOKENS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0];

/// The scales by name, for people to read.
pub const SCALES: &[(&str, &[f64])] = &[
    ("gaps between tokens", INTER_TOKEN_SECONDS),
    ("first token and queue", FIRST_TOKEN_SECONDS),
    ("whole requests", REQUEST_SECONDS),
    ("lengths", TOKENS),
];
