//! The HTTP API: OpenAI and native endpoints, SSE, errors, admin.
