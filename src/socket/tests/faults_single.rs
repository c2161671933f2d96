//! One system call fails, once: what it costs is what it has to, and whoever has to be told is told why.
//!
//! What comes of any calls that fail in any order: [`faults`](super::faults).

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};

use super::conservation::narrow;
use super::*;
use crate::error::OsError;
use crate::transport::Call;
use crate::transport::faults::Plan;
use crate::{BindErrorKind, Dealer, Interest, PollError, Poller, Timeout};

/// A place whose context has its calls fail as the plan says, of which this thread is one.
fn planned(transport: Transport, plan: &Arc<Plan>) -> (Place, crate::transport::faults::Entered) {
    let entered = plan.enter();
    (Place::in_context(transport, Context::new()), entered)
}

fn is_of(error: OsError, errno: i32) -> bool {
    error.code == Some(errno)
}

#[test]
fn a_write_that_fails_on_a_connection_that_lives_ends_it() {
    // A firewall's rule, or no memory, of which the peer knows nothing.
    over(WIRES, |place| {
        let plan = Plan::quiet();
        let (place, _entered) = planned(place.transport, &plan);
        let mut pull: Socket<Pull> = narrow(&place).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = narrow(&place).open().unwrap();
        push.connect(&endpoint).unwrap();
        for errno in [libc::EPERM, libc::ENOBUFS, libc::EHOSTUNREACH, libc::EPIPE] {
            send(&mut push, "before");
            assert_eq!(recv(&mut pull), "before");
            plan.fail_next(Call::Write, errno);
            send(&mut push, "behind");
            assert_eq!(recv(&mut pull), "behind");
        }
    });
}

#[test]
fn a_connect_that_fails_at_once_or_late_is_tried_again() {
    over(WIRES, |place| {
        let plan = Plan::quiet();
        let (place, _entered) = planned(place.transport, &plan);
        let (mut pull, endpoint) = place.bound::<Pull>();
        let connect = if place.transport == Transport::Tcp { Call::Connect } else { Call::ConnectIpc };
        let failures = [
            // The backlog is full, or there is no way to remember one more connection: nothing was begun.
            (connect, libc::EAGAIN),
            (Call::GetOption, libc::ENOBUFS),
            (Call::Outcome, libc::ECONNREFUSED),
            (Call::Outcome, libc::EHOSTUNREACH),
            (Call::Outcome, libc::ETIMEDOUT),
            (Call::Socket, libc::EAFNOSUPPORT),
        ];
        for (call, errno) in failures {
            plan.fail_next(call, errno);
            let mut push: Socket<Push> = narrow(&place).connect_timeout(Timeout::Never).open().unwrap();
            push.connect(&endpoint).unwrap();
            send(&mut push, "here");
            assert_eq!(recv(&mut pull), "here");
            assert!(plan.has_failed(), "{call:?}");
        }
    });
}

#[test]
fn a_bind_that_fails_tells_why_and_leaves_no_file_behind() {
    let plan = Plan::quiet();
    let (place, _entered) = planned(Transport::Ipc, &plan);
    let failures = [
        (0, Call::Look, libc::ENOMEM),
        (1, Call::Look, libc::ENOMEM),
        (0, Call::Listen, libc::ENOMEM),
        (0, Call::Bind, libc::EROFS),
    ];
    for (passed, call, errno) in failures {
        let mut pull: Socket<Pull> = place.open();
        let endpoint = place.address();
        plan.fail_behind(passed, call, errno);
        let error = pull.bind(&endpoint).unwrap_err();
        assert!(matches!(error.kind(), BindErrorKind::Io(error) if is_of(error, errno)), "{call:?} {error}");
        assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 0, "{call:?}");
        pull.bind(&endpoint).unwrap();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "here");
        assert_eq!(recv(&mut pull), "here");
    }
    assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 0);
}

#[test]
fn a_file_is_not_taken_for_one_in_use_because_the_system_is_short_of_memory() {
    let plan = Plan::quiet();
    let (place, _entered) = planned(Transport::Ipc, &plan);
    let path = place.directory.path().join("file");
    let endpoint = Endpoint::ipc(&path).unwrap();
    let kind_behind = |call, errno| {
        plan.fail_next(call, errno);
        let bound = place.open::<Pull>().bind(&endpoint);
        assert!(plan.has_failed());
        bound.map(drop).map_err(|error| error.kind())
    };
    // Nobody listens any more.
    drop(UnixListener::bind(&path).unwrap());
    for (call, errno) in
        [(Call::ConnectIpc, libc::ENOMEM), (Call::ConnectIpc, libc::ENOBUFS), (Call::Remove, libc::EBUSY)]
    {
        let kind = kind_behind(call, errno);
        assert!(matches!(kind, Err(BindErrorKind::Io(error)) if is_of(error, errno)), "{kind:?}");
        assert!(path.exists());
    }
    assert_eq!(kind_behind(Call::ConnectIpc, libc::EINTR), Ok(()));
    assert!(!path.exists());
    // Somebody does, whether or not there is a place for us.
    let _listener = UnixListener::bind(&path).unwrap();
    for errno in [libc::EACCES, libc::EAGAIN, libc::EINTR] {
        assert_eq!(kind_behind(Call::ConnectIpc, errno), Err(BindErrorKind::AddressInUse));
    }
}

#[test]
fn a_descriptor_that_listens_is_not_taken_for_one_that_does_not() {
    let plan = Plan::quiet();
    let (place, _entered) = planned(Transport::Ipc, &plan);
    for passed in 0..2 {
        let listener = UnixListener::bind(place.directory.path().join(passed.to_string())).unwrap();
        plan.fail_behind(passed, Call::GetOption, libc::ENOBUFS);
        let error = place.open::<Pull>().bind_fd(listener.into()).unwrap_err();
        assert!(matches!(error.kind(), BindErrorKind::Io(error) if is_of(error, libc::ENOBUFS)), "{error}");
    }
}

#[test]
fn a_descriptor_is_reported_again_when_the_system_can_wait_for_it_again() {
    let plan = Plan::quiet();
    let _entered = plan.enter();
    let (near, far) = UnixStream::pair().unwrap();
    let mut poller = Poller::new();
    poller.add_fd(&near, Interest::READABLE, ()).unwrap();
    std::io::Write::write_all(&mut &far, &[7]).unwrap();
    for _ in 0..3 {
        assert_eq!(poller.wait(Some(PATIENCE)).unwrap().len(), 1);
        plan.fail_next(Call::Reregister, libc::ENOMEM);
        let failed = poller.wait(Some(PATIENCE)).map(<[_]>::len);
        assert!(matches!(failed, Err(PollError::Io(error)) if is_of(error, libc::ENOMEM)), "{failed:?}");
    }
    assert_eq!(poller.wait(Some(PATIENCE)).unwrap().len(), 1);
    // What is wanted of it changes wholly, or not at all.
    for (call, from, to) in [
        (Call::Reregister, Interest::READABLE, Interest::WRITABLE),
        (Call::Reregister, Interest::READABLE, Interest::NONE),
        (Call::Register, Interest::NONE, Interest::WRITABLE),
    ] {
        poller.modify_fd(&near, from).unwrap();
        plan.fail_next(call, libc::ENOMEM);
        assert!(matches!(poller.modify_fd(&near, to), Err(PollError::Io(_))));
        let ready: Vec<_> = poller.wait(Some(Duration::ZERO)).unwrap().iter().map(|it| it.ready).collect();
        assert_eq!(ready, if from.is_none() { vec![] } else { vec![from] });
    }
}

#[test]
fn what_a_peer_has_said_is_received_although_the_kernel_cannot_report_it() {
    // Found out when a connection changes hands, or has no room.
    over(WIRES, |place| {
        for (passed, call) in [(0, Call::Reregister), (1, Call::Reregister), (0, Call::Register)] {
            let plan = Plan::quiet();
            let (place, _entered) = planned(place.transport, &plan);
            let mut dealer: Socket<Dealer> = narrow(&place).recv_hwm(1).open().unwrap();
            let endpoint = dealer.bind(place.address()).unwrap();
            let mut peer: Socket<Dealer> = narrow(&place).recv_hwm(1).open().unwrap();
            peer.connect(&endpoint).unwrap();
            for _ in 0..50 {
                send(&mut peer, "question");
                assert_eq!(recv(&mut dealer), "question");
                send(&mut dealer, "answer");
                assert_eq!(recv(&mut peer), "answer");
            }
            for number in 0..10 {
                send(&mut peer, Message::from([numbered(number).to_vec(), vec![7; 5000]]));
            }
            eventually("the kernel has it", || peer.outgoing().queued == 0);
            plan.fail_behind(passed, call, libc::ENOMEM);
            fill(&mut dealer, &Message::from(vec![0; LARGE]));
            assert!(plan.has_failed() || passed > 0, "{call:?}");
            for number in 0..10 {
                assert_eq!(number_of(&recv(&mut dealer)), number, "{call:?}");
            }
        }
    });
}
