//! A file of public keys, read again when it has changed.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Candidate, CurvePublicKey, Decision};
use crate::error::OsError;
use crate::sync::{Mutex, lock};

/// Whom the file allows, as of its last change.
#[derive(Debug)]
pub(super) struct AllowedKeys {
    path: PathBuf,
    read: Mutex<ReadFile>,
}

#[derive(Debug)]
struct ReadFile {
    /// None when a change right behind the reading could look like this version.
    version: Option<Version>,
    /// Empty, too, when the file does not parse.
    users: HashMap<CurvePublicKey, String>,
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    octets: u64,
    changed: Option<SystemTime>,
    file: u64,
}

impl AllowedKeys {
    /// # Errors
    ///
    /// When the file cannot be read, or does not parse.
    pub(super) fn open(path: PathBuf) -> Result<Self, OsError> {
        let read = read(&path).map_err(OsError::from)?;
        Ok(Self { path, read: Mutex::new(read) })
    }

    pub(super) fn decide(&self, candidate: &Candidate) -> Decision {
        let Some(key) = candidate.public_key() else { return Decision::refuse() };
        let mut known = lock(&self.read);
        let now = fs::metadata(&self.path).ok().map(|metadata| Version::of(&metadata));
        if now.is_none() || now != known.version {
            let nobody = ReadFile { version: None, users: HashMap::new() };
            *known = read(&self.path).unwrap_or(nobody);
        }
        known.users.get(&key).map_or_else(Decision::refuse, Decision::allow_as)
    }
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let file = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let file = 0;
        Self { octets: metadata.len(), changed: metadata.modified().ok(), file }
    }
}

fn read(path: &Path) -> io::Result<ReadFile> {
    let mut file = File::open(path)?;
    let version = Version::of(&file.metadata()?);
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let users = parse(&text).ok_or(io::ErrorKind::InvalidData)?;
    let age = version.changed.and_then(|changed| changed.elapsed().ok());
    let is_settled = age.is_some_and(|age| age > SETTLED);
    Ok(ReadFile { version: is_settled.then_some(version), users })
}

/// The users by their keys; `None` when a line is none.
fn parse(text: &str) -> Option<HashMap<CurvePublicKey, String>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let users = lines.map(|line| {
        let (key, user) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some((key.parse().ok()?, user.trim().to_owned()))
    });
    users.collect()
}

/// Times of changes are as coarse as 2 seconds with some file systems.
const SETTLED: Duration = Duration::from_secs(2);

#[cfg(all(test, feature = "curve"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::super::authorizer::Credentials;
    use super::*;

    fn who(key: u8) -> Candidate {
        Candidate {
            endpoint: "tcp://127.0.0.1:1".parse().unwrap(),
            credentials: Credentials::Curve(CurvePublicKey::from_bytes([key; 32])),
            properties: Arc::default(),
            process: None,
        }
    }

    fn key(key: u8) -> CurvePublicKey {
        CurvePublicKey::from_bytes([key; 32])
    }

    #[test]
    fn the_file_is_read_again_when_it_changes_and_lets_nobody_in_while_it_is_broken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("allowed");
        assert!(AllowedKeys::open(path.clone()).is_err());
        fs::write(&path, "no key").unwrap();
        assert!(AllowedKeys::open(path.clone()).is_err());
        fs::write(&path, format!("// friends\n\n{} alice in wonderland\n  {}  \n", key(1), key(2))).unwrap();
        let keys = AllowedKeys::open(path.clone()).unwrap();
        let decided = |keys: &AllowedKeys| [1, 2, 3].map(|key| keys.decide(&who(key)));
        let nobody = || [Decision::refuse(), Decision::refuse(), Decision::refuse()];
        let expected = [Decision::allow_as("alice in wonderland"), Decision::allow(), Decision::refuse()];
        assert_eq!(decided(&keys), expected);
        // As long, in the same file, at about the same time.
        fs::write(&path, format!("// friends\n\n{} alice in wonderland\n  {}  \n", key(3), key(2))).unwrap();
        let expected = [Decision::refuse(), Decision::allow(), Decision::allow_as("alice in wonderland")];
        assert_eq!(decided(&keys), expected);
        fs::write(&path, format!("{}\n{}x\n", key(1), key(2))).unwrap();
        assert_eq!(decided(&keys), nobody());
        fs::write(&path, key(1).to_string()).unwrap();
        assert_eq!(decided(&keys), [Decision::allow(), Decision::refuse(), Decision::refuse()]);
        fs::remove_file(&path).unwrap();
        assert_eq!(decided(&keys), nobody());
        fs::write(&path, key(2).to_string()).unwrap();
        assert_eq!(decided(&keys), [Decision::refuse(), Decision::allow(), Decision::refuse()]);
    }

    #[test]
    fn a_settled_file_is_not_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("allowed");
        fs::write(&path, key(1).to_string()).unwrap();
        let old = SystemTime::now() - 10 * SETTLED;
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let keys = AllowedKeys::open(path.clone()).unwrap();
        assert!(lock(&keys.read).version.is_some());
        assert_eq!(keys.decide(&who(1)), Decision::allow());
        fs::write(&path, key(2).to_string()).unwrap();
        assert_eq!(keys.decide(&who(1)), Decision::refuse());
        assert!(lock(&keys.read).version.is_none());
    }
}
