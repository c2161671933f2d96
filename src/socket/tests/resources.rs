//! Descriptors, threads and cores: each test in a process of its own.

use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket as TcpSocket, Type};

use super::ends::system_address;
use super::wakers::keeper;
use super::*;
use crate::limits::{ACCEPT_PAUSE, BACKLOG};
use crate::session;
use crate::{BindErrorKind, BindingState, EventKind, OsError, Pair};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The threads of this process with this start of a name.
fn threads(name: &str) -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let tasks = tasks.map(|task| task.unwrap().path().to_str().unwrap().to_owned());
    tasks
        .filter(|task| fs::read_to_string(format!("{task}/comm")).is_ok_and(|comm| comm.starts_with(name)))
        .collect()
}

/// Processor time of the thread with this `stat`, in the kernel's ticks of 10 ms.
fn ticks(stat: &File) -> u64 {
    let mut text = [0; 1024];
    let count = stat.read_at(&mut text, 0).unwrap();
    let text = String::from_utf8_lossy(&text[..count]);
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The value of a line of a thread's status.
fn status(task: &str, line: &str) -> String {
    let status = fs::read_to_string(format!("{task}/status")).unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    value.trim_start_matches(':').trim().to_owned()
}

#[test]
fn sockets_leave_no_descriptors_and_no_threads() {
    // ACCT, X-33
    alone("resources::sockets_leave_no_descriptors_and_no_threads", || {
        let (descriptors_before, threads_before) = (descriptors(), threads("").len());
        for transport in ALL {
            let place = Place::new(*transport);
            for number in 0..2500 {
                let (mut pull, endpoint) = place.bound::<Pull>();
                // All kinds of ends: never connected, just connecting, refused, in use.
                if number % 5 == 0 {
                    drop(place.connected::<Push>(&place.address()));
                    drop(place.connected::<Push>(&endpoint));
                    // Of a type that is refused.
                    let _ = place.open::<Pair>().connect(&endpoint);
                    let mut push: Socket<Push> = place.connected(&endpoint);
                    send(&mut push, "in use");
                    assert_eq!(recv(&mut pull), "in use");
                }
            }
            drop(place);
            assert_eq!(descriptors(), descriptors_before);
            // The kernel takes a thread that was joined off the list a little later.
            eventually("every thread is gone", || threads("").len() == threads_before);
        }
    });
}

#[test]
fn a_closed_socket_leaves_no_descriptor_while_its_context_lives() {
    // ACCT
    alone("resources::a_closed_socket_leaves_no_descriptor_while_its_context_lives", || {
        for transport in ALL {
            let place = Place::in_context(*transport, Context::builder().io_threads(1).build());
            drop(place.bound::<Pull>());
            let before = descriptors();
            for _ in 0..100 {
                let (mut pull, endpoint) = place.bound::<Pull>();
                let mut push: Socket<Push> = place.connected(&endpoint);
                send(&mut push, "in use");
                assert_eq!(recv(&mut pull), "in use");
            }
            eventually("every descriptor is closed", || descriptors() == before);
        }
    });
}

#[test]
fn io_threads_are_as_many_as_asked_for_and_start_when_needed() {
    alone("resources::io_threads_are_as_many_as_asked_for_and_start_when_needed", || {
        let io_threads = || threads("peermq-io").len();
        for most in 1..=4 {
            let context = Context::builder().io_threads(most).build();
            let mut sockets: Vec<Socket<Pull>> = (0..20).map(|_| context.open().unwrap()).collect();
            sockets[0].bind("inproc://needs-none").unwrap();
            assert_eq!(io_threads(), 0);
            for (number, socket) in (1..).zip(&mut sockets) {
                socket.bind("tcp://127.0.0.1:0").unwrap();
                assert!(io_threads() <= most.min(number));
            }
            eventually("each has taken its name", || io_threads() == most);
            drop((sockets, context));
            eventually("each is gone", || io_threads() == 0);
        }
    });
}

#[test]
fn io_threads_run_on_the_cores_they_are_pinned_to() {
    alone("resources::io_threads_run_on_the_cores_they_are_pinned_to", || {
        let allowed = status("/proc/self", "Cpus_allowed_list");
        let last = allowed.rsplit(['-', ',']).next().unwrap().to_owned();
        let context = Context::builder().io_threads(2).pin_to_cores([last.parse().unwrap()]).build();
        let mut pull: Socket<Pull> = context.open().unwrap();
        for thread in ["peermq-io-0", "peermq-io-1"] {
            pull.bind("tcp://127.0.0.1:0").unwrap();
            eventually("the thread is pinned", || {
                threads(thread).first().is_some_and(|task| status(task, "Cpus_allowed_list") == last)
            });
        }
        assert_eq!(status("/proc/thread-self", "Cpus_allowed_list"), allowed);
        drop((pull, context));
        // Each on a core of its own, in turn.
        let first = allowed.split(['-', ',']).next().unwrap().to_owned();
        let cores = [&last, &first, &last];
        let context =
            Context::builder().io_threads(3).pin_to_cores([&last, &first].map(|core| core.parse().unwrap()));
        let context = context.build();
        let mut pull: Socket<Pull> = context.open().unwrap();
        for (number, core) in cores.into_iter().enumerate() {
            pull.bind("tcp://127.0.0.1:0").unwrap();
            eventually("each thread is pinned", || {
                let tasks = threads(&format!("peermq-io-{number}"));
                tasks.first().is_some_and(|task| status(task, "Cpus_allowed_list") == *core)
            });
        }
        // A core that does not exist leaves the thread where it is.
        let context = Context::builder().io_threads(1).pin_to_cores([100_000]).build();
        let mut pull: Socket<Pull> = context.open().unwrap();
        let endpoint = pull.bind("tcp://127.0.0.1:0").unwrap();
        let mut push: Socket<Push> = context.open().unwrap();
        push.connect(&endpoint).unwrap();
        send(&mut push, "runs all the same");
        assert_eq!(recv(&mut pull), "runs all the same");
    });
}

#[test]
fn the_connections_of_one_socket_spread_over_all_io_threads() {
    // Those that it accepts, and those that it makes.
    for transport in WIRES {
        let places =
            [(); 2].map(|()| Place::in_context(*transport, Context::builder().io_threads(4).build()));
        let (mut pull, endpoint) = places[0].bound::<Pull>();
        let mut push: Socket<Push> = places[1].open();
        let loads = || places.each_ref().map(|place| place.context.inner.pool.loads());
        for round in 1..=2 {
            for _ in 0..200 {
                push.connect(&endpoint).unwrap();
            }
            eventually("all are there", || (pull.peers().len(), push.peers().len()) == (200, 200));
            // The listener is one more.
            let is_even =
                |loads: &Vec<u64>| loads.len() == 4 && loads.iter().all(|load| (45..=55).contains(load));
            eventually("the loads are even", || loads().iter().all(is_even));
            // All of them carry messages.
            for number in 0..200 {
                send(&mut push, &numbered(number));
            }
            let mut heard: Vec<u32> = (0..200).map(|_| number_of(&recv(&mut pull))).collect();
            heard.sort_unstable();
            assert_eq!(heard, (0..200).collect::<Vec<_>>(), "round {round}");
            (0..200).for_each(|_| push.disconnect(&endpoint).unwrap());
            eventually("all are gone", || pull.peers().is_empty() && loads()[1].iter().sum::<u64>() == 0);
        }
    }
}

/// Uses every descriptor that this process may have.
fn use_up_descriptors() -> Vec<File> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let soft = u64::try_from(descriptors()).unwrap() + 20;
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files
}

#[test]
fn accept_survives_the_lack_of_descriptors() {
    //
    alone("resources::accept_survives_the_lack_of_descriptors", || {
        let place = Place::in_context(Transport::Tcp, Context::builder().io_threads(1).build());
        let mut pull: Socket<Pull> = place.open();
        let binding = pull.bind(place.address()).unwrap();
        let endpoint = binding.endpoint().clone();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "before");
        assert_eq!(recv(&mut pull), "before");
        let stat = File::open(format!("{}/stat", threads("peermq-io-0")[0])).unwrap();

        let address = endpoint.to_string().strip_prefix("tcp://").unwrap().to_owned();
        let mut files = use_up_descriptors();
        files.pop();
        let mut client = TcpStream::connect(&address).unwrap();
        // The connection waits to be accepted, which nobody can do now; the I/O thread does not spin.
        let (start, before) = (Instant::now(), ticks(&stat));
        pull.recv_timeout(Duration::from_secs(1)).unwrap_err();
        let spent = Duration::from_millis(10 * (ticks(&stat) - before));
        assert!(spent < start.elapsed() / 2, "{spent:?}");
        // Who is connected goes on.
        send(&mut push, "meanwhile");
        assert_eq!(recv(&mut pull), "meanwhile");
        // The listener says so.
        assert_eq!(binding.state(), BindingState::Paused);
        assert_eq!(binding.last_error().unwrap().code, Some(libc::EMFILE));

        files.pop();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = [0; 10];
        client.read_exact(&mut greeting).unwrap();
        assert_eq!((greeting[0], greeting[9]), (0xFF, 0x7F));
        drop(files);
        eventually("nobody waits", || binding.state() == BindingState::Listening);
    });
}

#[test]
fn however_many_come_while_descriptors_are_short_there_is_one_try_for_each_pause() {
    //
    alone("resources::however_many_come_while_descriptors_are_short_there_is_one_try_for_each_pause", || {
        let place = Place::in_context(Transport::Tcp, Context::builder().io_threads(1).build());
        let mut pull: Socket<Pull> = place.open();
        let monitor = pull.monitor();
        let binding = pull.bind(place.address()).unwrap();
        let address: SocketAddr = binding.to_string().strip_prefix("tcp://").unwrap().parse().unwrap();
        // Made before, as they need descriptors of their own.
        let clients: Vec<_> =
            (0..50).map(|_| TcpSocket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
        let begin = Instant::now();
        let files = use_up_descriptors();
        for client in &clients {
            client.connect(&address.into()).unwrap();
        }
        let tries = || pull.stats().total.connections.accepts_failed;
        eventually("it was tried some times", || tries() >= 10);
        let (count, pauses) = (tries(), begin.elapsed().as_millis() / ACCEPT_PAUSE.as_millis());
        assert!(u128::from(count) <= pauses + 2, "{count} tries in {pauses} pauses");
        drop(files);
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        eventually("all were accepted", || pull.stats().total.connections.accepted == 50);
        // It is told once.
        drop((pull, clients));
        let failed = monitor.filter(|event| matches!(event.kind, EventKind::AcceptFailed(_))).count();
        assert_eq!(failed, 1);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn as_many_wait_to_be_accepted_as_the_backlog_says() {
    over(&[Transport::Ipc, Transport::Tcp], |place| {
        for backlog in [None, Some(7_u16)] {
            let place = Place::in_context(place.transport, Context::builder().io_threads(1).build());
            let builder = place.builder::<Pull>();
            let builder = if let Some(backlog) = backlog { builder.backlog(backlog) } else { builder };
            let mut pull = builder.open().unwrap();
            let endpoint = pull.bind(place.address()).unwrap().into();
            // The only I/O thread accepts nobody while whoever it wakes keeps it.
            let (mut other, at) = place.bound::<Pull>();
            let (recv, is_kept, go_on) = keeper(&mut other);
            let mut far: Socket<Push> = Context::new().open().unwrap();
            far.connect(&at).unwrap();
            far.send("wake").unwrap();
            is_kept.recv_timeout(PATIENCE).unwrap();
            let (domain, address) = system_address(&endpoint);
            let waiting: Vec<_> = (0..2 * BACKLOG)
                .map_while(|_| {
                    let client = TcpSocket::new(domain, Type::STREAM, None).unwrap();
                    client.connect_timeout(&address, STALL).is_ok().then_some(client)
                })
                .collect();
            // Linux counts the one that finds no room, too.
            let most = backlog.map_or(BACKLOG, u32::from) as usize + 1;
            assert_eq!(waiting.len(), most, "over {:?}", place.transport);
            drop(go_on);
            eventually("all are accepted", || {
                pull.stats().total.connections.accepted >= u64::try_from(most).unwrap()
            });
            drop(recv);
        }
    });
}

#[test]
fn peers_that_left_with_something_unread_count_as_if_they_had_their_descriptors() {
    // B-26: what comes, says something and goes, over and over, is held as long as nobody receives it.
    alone("resources::peers_that_left_with_something_unread_count_as_if_they_had_their_descriptors", || {
        const VISITORS: u32 = 1000;
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let soft = u64::try_from(descriptors()).unwrap() + 100;
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        let place = Place::in_context(Transport::Ipc, Context::builder().io_threads(1).build());
        let (mut pull, endpoint) = place.bound::<Pull>();
        let accepted = || pull.stats().total.connections.accepted;
        let visits = thread::scope(|scope| {
            let visitors = scope.spawn(|| {
                for number in 0..VISITORS {
                    let mut push: Socket<Push> = place.connected(&endpoint);
                    send(&mut push, &numbered(number));
                    if push.close(STALL).dropped > 0 {
                        return number; // nobody lets it in
                    }
                }
                VISITORS
            });
            visitors.join().unwrap()
        });
        assert!(u64::from(visits) + 1 >= soft / 2 && accepted() <= soft, "{visits} visits, {soft}");
        // They are let in when what was said is received.
        let mut last: Socket<Push> = place.connected(&endpoint);
        for number in 0..visits {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
        send(&mut last, "last");
        eventually("it was let in", || pull.try_recv().is_ok_and(|message| message == "last"));
    });
}

#[test]
fn a_listener_that_could_not_be_registered_is_registered_later() {
    alone("resources::a_listener_that_could_not_be_registered_is_registered_later", || {
        let place = Place::in_context(Transport::Tcp, Context::builder().io_threads(1).build());
        let mut pull: Socket<Pull> = place.open();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        // What the poll has already cannot be registered.
        let mailbox = pull.core.context.pool.pick(crate::IoAffinity::ANY).unwrap();
        let fd = listener.as_raw_fd();
        mailbox.registry().register(&mut SourceFd(&fd), Token(1 << 40), Interest::READABLE).unwrap();
        let monitor = pull.monitor();
        let binding = pull.bind_fd(listener.into()).unwrap();
        let error = monitor.recv_timeout(PATIENCE).and_then(|_| monitor.recv_timeout(PATIENCE)).unwrap();
        assert!(
            matches!(error.kind, EventKind::AcceptFailed(OsError { code: Some(libc::EEXIST), .. })),
            "{error:?}"
        );
        assert_eq!(binding.last_error().unwrap().code, Some(libc::EEXIST));
        eventually("it listens", || binding.state() == BindingState::Listening);
        for text in ["first", "second"] {
            let mut push: Socket<Push> = place.connected(binding.endpoint());
            send(&mut push, text);
            assert_eq!(recv(&mut pull), text);
        }
    });
}

#[test]
fn bind_and_connect_survive_the_lack_of_descriptors() {
    //
    alone("resources::bind_and_connect_survive_the_lack_of_descriptors", || {
        over(WIRES, |place| {
            drop(place.bound::<Pull>());
        });
        for transport in WIRES {
            let place = Place::new(*transport);
            let (mut pull, endpoint) = place.bound::<Pull>();
            let (fresh, address) = (Place::new(*transport), place.address());
            let mut files = use_up_descriptors();
            let error = loop {
                match place.open::<Pull>().bind(&address).map_err(|error| error.kind()) {
                    Err(BindErrorKind::Io(error)) => break error,
                    // Some are still being given back.
                    _ => files.extend(use_up_descriptors()),
                }
            };
            assert_eq!(error.code, Some(libc::EMFILE));
            // The first endpoint of a context needs a poll too.
            fresh.open::<Pull>().bind(&address).unwrap_err();
            let mut push: Socket<Push> = place.connected(&endpoint);
            push.try_send("when there is a descriptor").unwrap();
            drop(files);
            assert_eq!(recv(&mut pull), "when there is a descriptor");
            fresh.open::<Pull>().bind(&address).unwrap();
        }
    });
}

/// System calls that the session of a socket with one connection has made, and this thread to wait for it.
fn calls(socket: &Socket<Push>) -> u64 {
    let pipe = socket.core.pipes.iter().next().unwrap();
    pipe.assist.as_ref().unwrap().calls() + session::polls()
}

/// A socket whose queue takes a whole batch.
fn batch_sender(place: &Place, endpoint: &Endpoint) -> Socket<Push> {
    let mut push: Socket<Push> = place.builder().send_hwm(10_000).open().unwrap();
    push.connect(endpoint).unwrap();
    push
}

#[test]
fn a_batch_of_10_000_messages_in_a_live_stream_costs_at_most_100_system_calls() {
    // From before the first message until the last is received; the connection was idle, or had just carried
    // large messages.
    for transport in WIRES {
        for large_messages in [0, 200] {
            let place = Place::new(*transport);
            let (mut pull, endpoint) = place.bound::<Pull>();
            let mut push = batch_sender(&place, &endpoint);
            send(&mut push, "connected");
            assert_eq!(recv(&mut pull), "connected");
            let (tell, told) = mpsc::channel();
            thread::scope(|scope| {
                // Received as it comes, and closed by this thread when the calls are counted.
                let receiver = scope.spawn(move || {
                    for (count, octets) in [(large_messages, 60_000), (10_000, 64)] {
                        for _ in 0..count {
                            assert_eq!(recv(&mut pull).size(), octets);
                        }
                        tell.send(()).unwrap();
                    }
                    pull
                });
                for _ in 0..large_messages {
                    send(&mut push, &[7; 60_000]);
                }
                told.recv().unwrap();
                let before = calls(&push);
                for _ in 0..10_000 {
                    push.try_send(&[7; 64]).unwrap();
                }
                told.recv().unwrap();
                let count = calls(&push) - before;
                assert!(count <= 100, "{transport:?}: {count} behind {large_messages} large messages");
                drop(receiver.join().unwrap());
            });
        }
    }
}

#[test]
fn a_batch_that_waits_for_its_connection_costs_at_most_100_system_calls() {
    // Those of the handshake are among them.
    for transport in WIRES {
        let place = Place::new(*transport);
        let endpoint = place.address();
        let mut push = batch_sender(&place, &endpoint);
        for _ in 0..10_000 {
            push.try_send(&[7; 64]).unwrap();
        }
        let mut pull: Socket<Pull> = place.open();
        pull.bind(&endpoint).unwrap();
        for _ in 0..10_000 {
            recv(&mut pull);
        }
        let count = calls(&push);
        assert!((1..=100).contains(&count), "{transport:?}: {count}");
    }
}
