//! Compares `peermq` with libzmq and plain sockets on this machine: see [`interop_tests::versus`].

use std::process::ExitCode;

fn main() -> ExitCode {
    interop_tests::versus::main()
}
