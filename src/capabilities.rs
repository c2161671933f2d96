//! What this build of the library can do, for programs that are told at run time.
#![forbid(unsafe_code)]

/// The version of this library, as in its `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of this library by its parts: major, minor, patch.
pub const VERSION_PARTS: (u32, u32, u32) = (
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
);

/// The version of ZMTP that this library announces: major, minor.
pub const ZMTP_VERSION: (u8, u8) = (3, 1);

/// What there is, and whether it is in this build.
const CAPABILITIES: &[(&str, bool)] = &[
    ("curve", cfg!(feature = "curve")),
    ("futures", cfg!(feature = "futures")),
    ("inproc", true),
    ("ipc", cfg!(unix)),
    ("plain", true),
    ("tcp", true),
    ("zap", true),
];

/// Whether this build has a transport, a mechanism or a feature, by its name in lower case: `tcp`, `ipc`, `inproc`,
/// `plain`, `curve`, `zap`, `futures`.
///
/// In place of libzmq's `zmq_has`, which says so of optional parts only: there, `tcp` and `inproc` are answered with no.
///
/// ```
/// assert!(peermq::has("tcp"));
/// assert_eq!(peermq::has("curve"), cfg!(feature = "curve"));
/// assert!(!peermq::has("gssapi"));
/// ```
#[must_use]
pub fn has(capability: &str) -> bool {
    CAPABILITIES.iter().any(|(name, is_there)| *name == capability && *is_there)
}

/// A number of the package's version, which Cargo has checked.
const fn number(digits: &str) -> u32 {
    let (mut number, mut rest) = (0, digits.as_bytes());
    while let [digit, behind @ ..] = rest {
        number = number * 10 + (*digit - b'0') as u32;
        rest = behind;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_sum_of_its_parts() {
        let (major, minor, patch) = VERSION_PARTS;
        assert_eq!(VERSION, format!("{major}.{minor}.{patch}"));
        assert_eq!(number("1203"), 1203);
    }
}
