//! Makes a pair of keys for CURVE: the secret one into a file that nobody else can read, the public one to
//! standard output, to be given to peers and put on lists.
//!
//! ```text
//! cargo run --features curve --example curve_keygen -- alice.key
//! ```

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::ExitCode;

use peermq::CurveKeyPair;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("curve_keygen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let Some(path) = std::env::args_os().nth(1) else { return Err("curve_keygen FILE".into()) };
    let keys = CurveKeyPair::generate()?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    writeln!(options.open(path)?, "{}", *keys.secret_text())?;
    writeln!(io::stdout(), "{}", keys.public_key())?;
    Ok(())
}
