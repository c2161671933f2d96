//! Everything that meets other implementations.
