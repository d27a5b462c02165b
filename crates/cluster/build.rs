//! Generates the messages and the service from `proto/`. Needs `protoc`.

fn main() -> std::io::Result<()> {
    tonic_prost_build::configure().compile_protos(&["proto/hostler/v1/worker.proto"], &["proto"])
}
