//! Compiles the definitions that workers and gateways speak by. Needs `protoc`.

fn main() -> std::io::Result<()> {
    tonic_prost_build::configure().compile_protos(&["proto/hostler/v1/worker.proto"], &["proto"])
}
