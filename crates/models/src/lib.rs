//! Models by name: catalogue, sources, checksums, the local store.
