//! The llama.cpp engine: the fast one on CPUs.
