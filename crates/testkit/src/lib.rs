//! Test helpers: a cluster sandbox, fault injection, clients.
