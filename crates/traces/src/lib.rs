//! Spans of requests, exported by OpenTelemetry's protocol.
