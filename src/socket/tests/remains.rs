//! What is left of a context that has gone: nothing, on whatever thread its last handle was dropped, and whatever has
//! panicked on the way..

use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::task::{self, Wake, Waker};

use super::inline::Ends;
use super::panics::{panic_on_purpose, panics};
use super::tasks::Parked;
use super::*;
use crate::pipe::Sleepers;
use crate::{Authorizer, Decision};

/// Held by the options of a socket, which each of its connections holds, and by bodies of messages.
struct Witness(Arc<()>);

/// A body that holds it, and may panic when it is dropped.
struct Body {
    _held: Arc<()>,
    panics: bool,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &[7; LARGE]
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if self.panics {
            panic_on_purpose();
        }
    }
}

impl Witness {
    fn new() -> Self {
        Self(Arc::new(()))
    }

    /// Lets everybody in.
    fn authorizer(&self) -> Authorizer {
        let held = Arc::clone(&self.0);
        Authorizer::new(move |_| {
            let _ = &held;
            Decision::allow()
        })
    }

    fn body(&self, panics: bool) -> Bytes {
        Bytes::from_owner(Body { _held: Arc::clone(&self.0), panics })
    }

    /// A socket of this context that keeps what it sends to nobody: three large bodies.
    fn unsent(&self, context: &Context, place: &Place, panics: bool) -> Socket<Push> {
        let mut push =
            context.builder_for::<Push>().linger(STALL).authorizer(self.authorizer()).open().unwrap();
        push.connect(place.address()).unwrap();
        for panics in [false, panics, false] {
            push.send(self.body(panics)).unwrap();
        }
        push
    }

    fn bound(&self, context: &Context, place: &Place) -> (Socket<Pull>, Endpoint) {
        let mut pull = context.builder_for::<Pull>().authorizer(self.authorizer()).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap().into();
        (pull, endpoint)
    }

    /// Nobody else is there.
    fn assert_alone(&self, case: &str) {
        eventually(case, || Arc::strong_count(&self.0) == 1);
    }
}

fn one_thread() -> Context {
    Context::builder().io_threads(1).build()
}

/// What a task does in the end with a context, a socket that has received and one that has not sent.
type End = fn(Context, Socket<Pull>, Socket<Push>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

const ENDS: [(&str, End); 5] = [
    ("sockets first", |context, pull, push| {
        Box::pin(async move {
            drop((pull, push));
            drop(context);
        })
    }),
    ("the context first", |context, pull, push| {
        Box::pin(async move {
            drop(context);
            drop((push, pull));
        })
    }),
    ("shut down", |context, pull, push| {
        Box::pin(async move {
            context.shutdown();
            drop((pull, push, context));
        })
    }),
    ("closed", |context, pull, push| {
        Box::pin(async move {
            drop(context);
            drop(pull);
            assert_eq!(push.close_async(STALL).await.dropped, 3);
        })
    }),
    ("finished", |context, pull, push| {
        Box::pin(async move {
            assert_eq!(context.finish_async(STALL).await.dropped, 3);
            drop((pull, push, context));
        })
    }),
];

#[test]
fn nothing_is_left_of_a_context_whose_last_handle_goes_on_its_io_thread() {
    over(WIRES, |place| {
        for (name, end) in ENDS {
            let (witness, context) = (Witness::new(), one_thread());
            let (mut pull, endpoint) = witness.bound(&context, place);
            let push = witness.unsent(&context, place, false);
            let mut peer: Socket<Push> = place.connected(&endpoint);
            let (tell, told) = channel();
            let (say, said) = channel();
            Ends(tell).spawn(async move {
                assert_eq!(pull.recv_async().await.unwrap(), "a");
                say.send(thread::current().name().map(str::to_owned)).unwrap();
                end(context, pull, push).await;
            });
            send(&mut peer, "a");
            told.recv_timeout(PATIENCE).expect(name);
            assert_eq!(said.recv().unwrap().as_deref(), Some("peermq-io-0"), "{name}");
            witness.assert_alone(name);
        }
    });
}

#[test]
fn nothing_is_left_of_a_context_whose_last_handle_goes_when_a_peer_is_judged() {
    over(WIRES, |place| {
        let (witness, context) = (Witness::new(), one_thread());
        let push = witness.unsent(&context, place, false);
        let handles = Arc::new(Mutex::new(None));
        let (held, last) = (Arc::clone(&witness.0), Arc::clone(&handles));
        let authorizer = Authorizer::new(move |_| {
            let _ = &held;
            drop(last.lock().unwrap().take());
            Decision::allow()
        });
        let mut pull = context.builder_for::<Pull>().authorizer(authorizer).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        *handles.lock().unwrap() = Some((pull, push, context));
        let _peer: Socket<Push> = place.connected(&endpoint);
        witness.assert_alone("they are dropped");
    });
}

#[test]
fn nothing_is_left_of_a_context_when_bodies_panic_as_they_go() {
    over(WIRES, |place| {
        for is_context_first in [false, true] {
            let (witness, context) = (Witness::new(), one_thread());
            let (mut pull, endpoint) = witness.bound(&context, place);
            let mut peer: Socket<Push> = place.connected(&endpoint);
            send(&mut peer, "a");
            assert_eq!(recv(&mut pull), "a");
            let pushes = [(); 3].map(|()| witness.unsent(&context, place, true));
            if is_context_first {
                // Its sockets are the last that hold it.
                drop(context);
                drop(pushes);
                drop(pull);
            } else {
                drop((pull, pushes));
                drop(context);
            }
            witness.assert_alone("all of them are dropped");
        }
    });
}

#[test]
fn a_queue_whose_bodies_panic_harms_no_other_socket_of_its_io_thread() {
    over(WIRES, |place| {
        let (witness, context) = (Witness::new(), one_thread());
        let (mut pull, endpoint) = witness.bound(&context, place);
        let mut peer: Socket<Push> = place.connected(&endpoint);
        for round in 0..5 {
            // They are dropped by the I/O thread, when their time is over.
            let before = Arc::strong_count(&witness.0);
            drop(witness.unsent(&context, place, true));
            eventually("they are dropped", || {
                let _ = context.stats(); // lets go of what is over
                Arc::strong_count(&witness.0) == before
            });
            send(&mut peer, &numbered(round));
            assert_eq!(number_of(&recv(&mut pull)), round);
            let mut other: Socket<Push> = place.connected(&endpoint);
            send(&mut other, "new");
            assert_eq!(recv(&mut pull), "new");
        }
        drop((pull, context));
        witness.assert_alone("nothing is left");
    });
}

/// The waker of a task that panics when it is woken, and when it is dropped.
struct Bad {
    _held: Arc<()>,
}

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic_on_purpose();
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic_on_purpose();
        }
    }
}

#[test]
fn a_waker_that_panics_keeps_no_socket_from_being_closed() {
    over(WIRES, |place| {
        let (witness, context) = (Witness::new(), one_thread());
        let (mut pull, endpoint) = witness.bound(&context, place);
        let mut peer: Socket<Push> = place.connected(&endpoint);
        let waker = Waker::from(Arc::new(Bad { _held: Arc::clone(&witness.0) }));
        send(&mut peer, "a");
        assert_eq!(recv(&mut pull), "a");
        // As a stream does, which leaves it there.
        assert!(pull.core.mailbox.register(Sleepers::STREAM, &waker));
        drop(waker);
        panics(move || drop(pull));
        eventually("the peer is seen to go", || peer.try_send("a").is_err());
        drop(context);
        witness.assert_alone("nothing is left");
    });
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_hearing_of_the_end_of_a_context() {
    let place = Place::new(Transport::Tcp);
    let (witness, context) = (Witness::new(), one_thread());
    let push = witness.unsent(&context, &place, false);
    let parked = Parked::new();
    let (bad, good) =
        (Waker::from(Arc::new(Bad { _held: Arc::clone(&witness.0) })), Waker::from(Arc::clone(&parked)));
    let (mut first, mut second) = (pin!(context.finish_async(STALL)), pin!(context.finish_async(STALL)));
    assert!(first.as_mut().poll(&mut task::Context::from_waker(&bad)).is_pending());
    while second.as_mut().poll(&mut task::Context::from_waker(&good)).is_pending() {
        parked.wait();
    }
    assert_eq!(push.stats().total.outgoing.lost, 3);
    panics(|| drop(bad));
}
