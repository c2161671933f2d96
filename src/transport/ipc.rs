//! Unix domain sockets: paths and Linux's abstract names. Source: libzmq's zmq_ipc(7).
//!
//! A path is taken over only when nobody listens there, and removed only while it is still ours. Those that bind in the
//! same directory do so in turn: a file that another one has just made, and does not listen on yet, looks as stale as one
//! that was left behind.
#![forbid(unsafe_code)]

use std::fs::{self, File as Directory, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{UnixListener, UnixStream};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::endpoint::{Endpoint, IpcAddress};
use crate::error::BindErrorKind;
use crate::limits::{BIND_LOOKS, BIND_PAUSE};
use crate::options::Options;
use crate::transport::{Call, faults, kernel, syscalls};

pub(super) fn connect(address: &IpcAddress, options: &Options) -> io::Result<UnixStream> {
    let socket = new_socket()?;
    kernel::set_buffers(&SockRef::from(&socket), options)?;
    // A full backlog answers at once with WouldBlock: an ordinary failure, tried again later.
    faults::before(Call::ConnectIpc)?;
    socket.connect(&socket_address(address)?)?;
    Ok(UnixStream::from_std(socket.into()))
}

/// A bound listener, and the file that goes with it.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    file: Option<File>,
    is_ours: bool,
}

/// A socket file that this process made: removed when it is dropped.
#[derive(Debug)]
struct File {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Listener {
    pub(super) fn bind(address: &IpcAddress, options: &Options) -> Result<(Self, Endpoint), BindErrorKind> {
        let address = match address {
            IpcAddress::Any => &IpcAddress::Path(temporary_path()),
            named @ (IpcAddress::Abstract(_) | IpcAddress::Path(_)) => named,
        };
        // Until it listens.
        let _turn = match address {
            IpcAddress::Path(path) => Turn::wait(path),
            IpcAddress::Abstract(_) | IpcAddress::Any => None,
        };
        if let IpcAddress::Path(path) = address {
            remove_stale(path)?;
        }
        let (listener, file) = listen(address, options).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BindErrorKind::NoSuchDirectory,
            _ => super::bind_error(&error),
        })?;
        let endpoint = match address {
            IpcAddress::Path(path) => Endpoint::ipc(path)?,
            IpcAddress::Abstract(name) => format!("ipc://@{name}").parse()?,
            IpcAddress::Any => unreachable!("replaced by a path above"),
        };
        Ok((Self { listener, file, is_ours: true }, endpoint))
    }

    /// A listener that somebody else has made, and whose file is somebody else's.
    pub(super) fn from_socket(socket: Socket, address: &SockAddr) -> Result<(Self, Endpoint), BindErrorKind> {
        let endpoint = match (address.as_pathname(), address.as_abstract_namespace()) {
            (Some(path), _) => Endpoint::ipc(path)?,
            (None, Some(name)) => format!("ipc://@{}", String::from_utf8_lossy(name)).parse()?,
            (None, None) => return Err(BindErrorKind::NotSupported),
        };
        let listener = UnixListener::from_std(socket.into());
        Ok((Self { listener, file: None, is_ours: false }, endpoint))
    }

    pub(super) fn accept(&self, options: &Options) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept()?;
        kernel::set_buffers(&SockRef::from(&stream), options)?;
        Ok(stream)
    }

    pub(super) fn descriptor(&self) -> i32 {
        self.listener.as_raw_fd()
    }

    /// What the system's poll watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        &mut self.listener
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.file.take());
        if self.is_ours {
            kernel::stop_listening(&SockRef::from(&self.listener));
        }
    }
}

impl File {
    /// The one that was made just now. One that cannot be told from others later is removed at once: nobody takes it over
    /// while it is our turn, or makes another one while it is there.
    fn of(path: &Path) -> io::Result<Self> {
        match look_at(path) {
            Ok(now) => Ok(Self { path: path.to_owned(), device: now.dev(), inode: now.ino() }),
            Err(error) => {
                let _ = remove(path);
                Err(error)
            }
        }
    }
}

impl Drop for File {
    /// Removes the file if it is still the one that we made. There is nobody to tell of a failure: who binds there next
    /// finds it stale.
    fn drop(&mut self) {
        let is_ours =
            look_at(&self.path).is_ok_and(|now| now.dev() == self.device && now.ino() == self.inode);
        if is_ours {
            let _ = remove(&self.path);
        }
    }
}

fn look_at(path: &Path) -> io::Result<Metadata> {
    faults::before(Call::Look)?;
    fs::symlink_metadata(path)
}

fn remove(path: &Path) -> io::Result<()> {
    faults::before(Call::Remove)?;
    fs::remove_file(path)
}

/// The right to bind in a directory, by a lock of the system on that directory: nothing is left behind, whoever dies.
#[derive(Debug)]
struct Turn(Directory);

impl Turn {
    /// Waits for those who bind there now. `None`: the system knows no such lock, we may not read the directory, or
    /// somebody who does not bind keeps it. Then it is bound all the same, as it is by those who know of no lock.
    fn wait(path: &Path) -> Option<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        faults::before(Call::Open).ok()?;
        // Whatever else is there, a pipe that nobody writes to for one, is not waited for.
        let directory = Directory::options()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK)
            .open(parent.unwrap_or_else(|| Path::new(".")))
            .ok()?;
        for _ in 0..BIND_LOOKS {
            match syscalls::try_lock(&directory) {
                Ok(()) => return Some(Self(directory)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => syscalls::pause(BIND_PAUSE),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closing would do, unless a child was forked meanwhile and holds the same description.
        syscalls::unlock(&self.0);
    }
}

fn listen(address: &IpcAddress, options: &Options) -> io::Result<(UnixListener, Option<File>)> {
    let socket = new_socket()?;
    faults::before(Call::Bind)?;
    socket.bind(&socket_address(address)?)?;
    // Before anything else can fail: what was made is removed then.
    let file = match address {
        IpcAddress::Path(path) => Some(File::of(path)?),
        IpcAddress::Abstract(_) | IpcAddress::Any => None,
    };
    faults::before(Call::Listen)?;
    socket.listen(i32::try_from(options.backlog().limit()).unwrap_or(i32::MAX))?;
    Ok((UnixListener::from_std(socket.into()), file))
}

fn new_socket() -> io::Result<Socket> {
    faults::before(Call::Socket)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn socket_address(address: &IpcAddress) -> io::Result<SockAddr> {
    match address {
        IpcAddress::Any => Err(io::ErrorKind::InvalidInput.into()),
        // On Linux a leading NUL makes the name abstract; elsewhere the call is refused.
        IpcAddress::Abstract(name) => {
            let mut octets = vec![0];
            octets.extend_from_slice(name.as_bytes());
            SockAddr::unix(PathBuf::from(std::ffi::OsString::from_vec(octets)))
        }
        IpcAddress::Path(path) => SockAddr::unix(path),
    }
}

/// Makes way at `path`: a socket file that nobody listens on is removed, anything else is left alone.
fn remove_stale(path: &Path) -> Result<(), BindErrorKind> {
    let os_error = |error: io::Error| BindErrorKind::Io(error.into());
    let metadata = match look_at(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(os_error(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindErrorKind::NotASocket);
    }
    if is_listened_on(path).map_err(os_error)? {
        return Err(BindErrorKind::AddressInUse);
    }
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(os_error(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether somebody listens at this socket file; an error when the system is too short of something to tell. Whom we may
/// not connect to, or who is not one of us, is somebody.
fn is_listened_on(path: &Path) -> io::Result<bool> {
    let (probe, address) = (new_socket()?, SockAddr::unix(path)?);
    loop {
        let Err(error) = faults::before(Call::ConnectIpc).and_then(|()| probe.connect(&address)) else {
            return Ok(true);
        };
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => return Ok(false),
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::OutOfMemory => return Err(error),
            _ if error.raw_os_error() == Some(libc::ENOBUFS) => return Err(error),
            // Also when so many wait to be accepted that there is no place for one more.
            _ => return Ok(true),
        }
    }
}

fn temporary_path() -> PathBuf {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish();
    let path = std::env::temp_dir().join(format!("peermq-{}-{random:x}.sock", std::process::id()));
    debug_assert!(path.as_os_str().as_bytes().len() < crate::limits::IPC_PATH_MAX);
    path
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_binds_behind_a_pipe_that_nobody_writes_to_is_not_held() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let bound = Listener::bind(&IpcAddress::Path(fifo.join("socket")), &Options::default());
            sender.send(bound.map(drop)).unwrap();
        });
        let bound = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(matches!(bound, Err(BindErrorKind::Io(_))), "{bound:?}");
    }

    #[test]
    fn a_directory_that_somebody_keeps_locked_can_be_bound_in() {
        let directory = tempfile::tempdir().unwrap();
        let kept = Directory::open(directory.path()).unwrap();
        syscalls::try_lock(&kept).unwrap();
        let path = directory.path().join("socket");
        assert!(Turn::wait(&path).is_none());
        let address = IpcAddress::Path(path.clone());
        let (listener, _) = Listener::bind(&address, &Options::default()).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(listener);
        syscalls::unlock(&kept);
        // Whoever has its turn has it alone, and gives it back.
        for _ in 0..2 {
            let turn = Turn::wait(&path).unwrap();
            let error = syscalls::try_lock(&kept).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            drop(turn);
        }
    }

    #[test]
    fn a_signal_that_comes_while_it_asks_for_its_turn_does_not_cost_it() {
        // who binds out of turn may remove what another one has just made.
        let directory = tempfile::tempdir().unwrap();
        let plan = faults::Plan::quiet();
        let _entered = plan.enter();
        plan.fail_next(Call::Lock, libc::EINTR);
        assert!(Turn::wait(&directory.path().join("socket")).is_some());
        assert!(plan.has_failed());
    }
}
