//! The messages, and both ends of the service, as `proto/hostler/v1/worker.proto`
//! defines them.

#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated; the definitions carry the comments")]

tonic::include_proto!("hostler.v1");
