//! Processes that fork while a thread is in step with its peers: whatever a child does with what it inherits, its parent
//! goes on, and peers hear from the parent alone. X-30.
//!
//! Each test is a process of its own, in which a child has no other test's descriptors, and panics end it.
#![allow(unsafe_code, reason = "fork and _exit are unsafe by nature")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::io::Read;
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use cap::Cap;
use interop_tests::raw::{ALLOCATOR_LIMIT, DEADLINE, Meeting, Role, Transport, alone};
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdout, execv, fork, pause};
use peermq::{
    BindErrorKind, BindingState, CloseReason, ConnectErrorKind, ConnectionState, Context, Endpoint,
    OpenError, Pair, Pull, Push, RecvError, Rep, Req, Socket,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

const TRANSPORTS: [Transport; 2] = [Transport::Ipc, Transport::Tcp];

/// Round trips after which both sides are surely in step.
const STEPS: u32 = 50;

/// A child of this process; ended with this.
struct Child(Pid);

impl Child {
    /// Forks a child that does this and ends, without any destructor of what it has inherited.
    fn start(act: impl FnOnce()) -> Self {
        // SAFETY: the child of a process with other threads may call only what is safe in a signal handler. All that
        // the tests have it do beyond that is to allocate, which the C library on Linux keeps possible, and to call
        // what they are about.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => Self(child),
            ForkResult::Child => {
                prctl::set_pdeathsig(Signal::SIGKILL).unwrap(); // stays behind nobody
                act();
                // SAFETY: it ends the process, and touches no memory.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Stays, and does nothing.
    fn that_stays() -> Self {
        Self::start(|| {
            loop {
                pause();
            }
        })
    }

    /// Waits for its end, which must not be a panic or a signal.
    fn finish(self) {
        let mut status = WaitStatus::StillAlive;
        eventually("the child ends", || {
            status = waitpid(self.0, Some(WaitPidFlag::WNOHANG)).unwrap();
            status != WaitStatus::StillAlive
        });
        assert_eq!(status, WaitStatus::Exited(self.0, 0));
        let _ = ManuallyDrop::new(self); // its number is free for others
    }

    fn is_alive(&self) -> bool {
        waitpid(self.0, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        _ = kill(self.0, Signal::SIGKILL);
        _ = waitpid(self.0, None);
    }
}

/// Does this while a child has all that this process has open.
fn while_a_child_lives(act: impl FnOnce()) {
    let child = Child::that_stays();
    act();
    assert!(child.is_alive());
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// Sockets of one context, with one I/O thread.
struct Company {
    transport: Transport,
    // First: dropped before their context.
    here: Socket<Pair>,
    there: Socket<Pair>,
    pull: Socket<Pull>,
    endpoint: Endpoint,
    context: Context,
}

impl Company {
    fn new(transport: Transport) -> Self {
        let context = Context::builder().io_threads(1).build();
        let (here, there) = pair(&context, transport);
        let (pull, endpoint) = bound(&context, transport);
        let mut company = Self { transport, here, there, pull, endpoint, context };
        company.step();
        company
    }

    /// Two of them ask and answer, each in a thread of its own; nothing is lost or doubled.
    fn step(&mut self) {
        let Self { here, there, .. } = self;
        step(here, there);
    }

    /// The same, and new connections are accepted.
    fn go_on(&mut self) {
        self.step();
        let mut push = open::<Push>(&self.context);
        push.connect(&self.endpoint).unwrap().wait_ready(DEADLINE).unwrap();
        push.send_timeout("new", DEADLINE).unwrap();
        assert_eq!(self.pull.recv_timeout(DEADLINE).unwrap(), "new");
        drop(push);
        let (mut here, mut there) = pair(&self.context, self.transport);
        step(&mut here, &mut there);
    }
}

fn open<P: peermq::Pattern>(context: &Context) -> Socket<P> {
    context.builder_for().linger(Duration::ZERO).open().unwrap()
}

fn bound<P: peermq::Pattern>(context: &Context, transport: Transport) -> (Socket<P>, Endpoint) {
    let mut socket = open(context);
    let endpoint = socket.bind(transport.free_endpoint()).unwrap().into();
    (socket, endpoint)
}

fn pair(context: &Context, transport: Transport) -> (Socket<Pair>, Socket<Pair>) {
    let (there, endpoint) = bound(context, transport);
    let mut here = open::<Pair>(context);
    here.connect(&endpoint).unwrap().wait_ready(DEADLINE).unwrap();
    (here, there)
}

fn step(here: &mut Socket<Pair>, there: &mut Socket<Pair>) {
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            for number in 0..STEPS {
                let message = there.recv_timeout(DEADLINE).unwrap();
                assert_eq!(message, number.to_be_bytes()[..]);
                there.send_timeout(message, DEADLINE).unwrap();
            }
        });
        for number in 0..STEPS {
            here.send_timeout(&number.to_be_bytes(), DEADLINE).unwrap();
            assert_eq!(here.recv_timeout(DEADLINE).unwrap(), number.to_be_bytes()[..]);
        }
        echo.join().unwrap();
    });
    assert_eq!(here.try_recv(), Err(RecvError::WouldBlock));
    assert_eq!(there.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn a_child_that_ends_at_once_leaves_its_parents_sockets_alone() {
    alone("a_child_that_ends_at_once_leaves_its_parents_sockets_alone", || {
        for transport in TRANSPORTS {
            let mut company = Company::new(transport);
            for _ in 0..20 {
                let child = Child::start(|| ());
                company.step();
                child.finish();
            }
            company.go_on();
        }
    });
}

#[test]
fn a_program_that_a_child_executes_has_none_of_the_descriptors() {
    alone("a_program_that_a_child_executes_has_none_of_the_descriptors", || {
        let before = descriptors_after_exec();
        assert!(!before.is_empty());
        for transport in TRANSPORTS {
            let mut company = Company::new(transport);
            // A waiting thread's own, and those of an accepted connection, a half-open one, and one under way.
            let _half_open = interop_tests::raw::Peer::connect(&company.endpoint.to_string());
            let _descriptor = company.pull.descriptor(peermq::Interest::READABLE).unwrap();
            let mut dialer = open::<Push>(&company.context);
            dialer.connect("tcp://192.0.2.1:9").unwrap();
            assert_eq!(descriptors_after_exec(), before, "{transport:?}");
            company.go_on();
        }
    });
}

/// What the descriptors lead to that a program has which a child executes, in their order.
fn descriptors_after_exec() -> Vec<String> {
    let (mut output, input) = UnixStream::pair().unwrap();
    let arguments = [c"ls", c"-l", c"/proc/self/fd"];
    let child = Child::start(|| {
        dup2_stdout(&input).unwrap();
        execv(c"/bin/ls", &arguments).unwrap();
    });
    drop(input);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    child.finish();
    let links = text.lines().filter_map(|line| line.split_once(" -> "));
    // Numbers differ from one run to the next.
    links.map(|(_, to)| to.replace(|it: char| it.is_ascii_digit(), "")).collect()
}

#[test]
fn a_parent_goes_on_beside_its_child() {
    alone("a_parent_goes_on_beside_its_child", || {
        for transport in TRANSPORTS {
            let mut company = Company::new(transport);
            while_a_child_lives(|| {
                company.go_on();
                drop(company.here);
                eventually("the peer is seen to go", || company.there.peers().is_empty());
                assert_eq!(company.there.try_recv(), Err(RecvError::WouldBlock));
                drop(company.context);
            });
        }
    });
}

#[test]
fn peers_hear_of_every_end_while_a_child_lives() {
    // A descriptor that a child holds keeps a connection open that is only closed.
    alone("peers_hear_of_every_end_while_a_child_lives", || {
        for transport in TRANSPORTS {
            let soon = Duration::from_millis(50);
            let meeting = Meeting::<Pull>::with(Role::Binds, transport, |it| it.heartbeat_interval(soon));
            let mut silent = meeting.ready_peer();
            while_a_child_lives(|| drop(silent.read_to_end()));

            let meeting = Meeting::<Pull>::new(Role::Binds, transport);
            let mut wrong = meeting.ready_peer();
            while_a_child_lives(|| {
                wrong.write(&[0xff; 64]);
                wrong.read_to_end();
            });

            let mut meeting = Meeting::<Push>::new(Role::Binds, transport);
            let mut deaf = meeting.ready_peer();
            let message = vec![7; 100_000];
            while meeting.socket.send_timeout(&message, soon).is_ok() {}
            while_a_child_lives(|| {
                drop(meeting);
                assert!(deaf.read_to_end().len() > message.len());
            });

            let interval = |it: peermq::Builder<Pull>| it.handshake_interval(soon);
            let meeting = Meeting::<Pull>::with(Role::Binds, transport, interval);
            let mut slow = meeting.peer();
            while_a_child_lives(|| drop(slow.read_to_end()));
        }
    });
}

#[test]
fn nobody_listens_where_a_listener_was_closed_while_a_child_lives() {
    alone("nobody_listens_where_a_listener_was_closed_while_a_child_lives", || {
        for transport in TRANSPORTS {
            let context = Context::builder().io_threads(1).build();
            let (pull, endpoint) = bound::<Pull>(&context, transport);
            while_a_child_lives(|| {
                drop(pull);
                let text = endpoint.to_string();
                let is_refused = match text.strip_prefix("tcp://") {
                    Some(address) => TcpStream::connect(address).is_err(),
                    None => UnixStream::connect(text.strip_prefix("ipc://").unwrap()).is_err(),
                };
                assert!(is_refused);
                // The next one has it all.
                let mut pull = open::<Pull>(&context);
                pull.bind(&endpoint).unwrap();
                let mut push = open::<Push>(&context);
                push.connect(&endpoint).unwrap();
                push.send_timeout("new", DEADLINE).unwrap();
                assert_eq!(pull.recv_timeout(DEADLINE).unwrap(), "new");
            });
        }
    });
}

#[test]
fn a_child_may_drop_what_it_has_inherited() {
    alone("a_child_may_drop_what_it_has_inherited", || {
        for transport in TRANSPORTS {
            let mut company = Some(Company::new(transport));
            for round in 0..20 {
                let child = Child::start(|| {
                    let Company { here, there, pull, context, .. } = company.take().unwrap();
                    match round % 3 {
                        0 => drop((here, there, pull, context)),
                        1 => drop((context, pull, there, here)),
                        _ => {
                            context.shutdown();
                            let reports = [here.close(DEADLINE), there.close(DEADLINE), pull.close(DEADLINE)];
                            assert_eq!(reports.map(|it| (it.flushed, it.dropped)), [(0, 0); 3]);
                        }
                    }
                });
                // Beside it.
                company.as_mut().unwrap().step();
                child.finish();
                company.as_mut().unwrap().go_on();
            }
        }
    });
}

#[test]
fn a_child_ends_nothing_of_its_parents() {
    alone("a_child_ends_nothing_of_its_parents", || {
        for transport in TRANSPORTS {
            for reason in [CloseReason::Dismissed, CloseReason::Refused] {
                let mut company = Company::new(transport);
                let Company { pull, context, .. } = &mut company;
                let binding = pull.bind(transport.free_endpoint()).unwrap();
                let mut push = open::<Push>(context);
                let connection = push.connect(&binding).unwrap();
                connection.wait_ready(DEADLINE).unwrap();
                let (mut rep, endpoint) = bound::<Rep>(context, transport);
                let mut req = open::<Req>(context);
                req.connect(&endpoint).unwrap();
                let mut reply = Some(req.request("question").unwrap());
                eventually("all peers are there", || pull.peers().len() == 1 && rep.peers().len() == 1);
                let peers = [pull.peers(), push.peers(), rep.peers()].concat();

                let child = Child::start(|| {
                    assert_eq!(pull.unbind(&binding).unwrap_err().kind(), BindErrorKind::Terminated);
                    assert_eq!(push.disconnect(&binding).unwrap_err().kind(), ConnectErrorKind::Terminated);
                    binding.unbind();
                    connection.disconnect();
                    peers.iter().for_each(|peer| peer.close(reason));
                    drop(reply.take()); // given up, as far as a child can
                });
                child.finish();
                assert_eq!(binding.state(), BindingState::Listening);
                assert_eq!(connection.state(), ConnectionState::Ready);
                let mut new = open::<Push>(context);
                new.connect(&binding).unwrap().wait_ready(DEADLINE).unwrap();
                for push in [&mut push, &mut new] {
                    push.send_timeout("hello", DEADLINE).unwrap();
                    assert_eq!(pull.recv_timeout(DEADLINE).unwrap(), "hello");
                }
                rep.recv_timeout(DEADLINE).unwrap().reply("answer").unwrap();
                assert_eq!(reply.take().unwrap().recv().unwrap(), "answer");
                assert_eq!((pull.peers().len(), push.peers().len(), rep.peers().len()), (2, 1, 1));
                assert_eq!(connection.last_error(), None);
                drop((push, new, rep));
                company.go_on();
            }
        }
    });
}

#[test]
fn a_child_has_sockets_of_its_own() {
    alone("a_child_has_sockets_of_its_own", || {
        for transport in TRANSPORTS {
            let mut company = Company::new(transport);
            let child = Child::start(|| {
                // Nothing new in a context without threads.
                let Company { here, pull, context, .. } = &mut company;
                assert_eq!(context.open::<Pair>().unwrap_err(), OpenError::Terminated);
                for endpoint in ["tcp://127.0.0.1:9", "inproc://child"] {
                    let error = here.connect(endpoint).unwrap_err();
                    assert_eq!(error.kind(), ConnectErrorKind::Terminated);
                }
                for endpoint in ["tcp://127.0.0.1:0", "inproc://child"] {
                    assert_eq!(pull.bind(endpoint).unwrap_err().kind(), BindErrorKind::Terminated);
                }
                // This thread was in step with connections of its parent.
                let mut own = Company::new(transport);
                (0..20).for_each(|_| own.go_on());
            });
            (0..20).for_each(|_| company.go_on());
            child.finish();
            company.go_on();
        }
    });
}
