//! A failed send leaves what was lent to it where it is: counted in octets that the calling thread allocates.
//!
//! A binary of its own, for its allocator.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use peermq::{
    Context, Dealer, Frame, Hwm, Message, Pair, Payload, Push, Rep, Req, RequestError, Router, RoutingId,
    SendError, Sends, SharedSocket, Socket, SocketType, Stream, Sub, Unsent, XPub, XSub,
};

/// Counts what the thread asks for.
struct Counting;

thread_local! {
    static OCTETS: Cell<usize> = const { Cell::new(0) };
}

fn count(layout: Layout) {
    // While a thread ends there is nothing to count it in.
    let _ = OCTETS.try_with(|octets| octets.set(octets.get() + layout.size()));
}

// SAFETY: every call goes to the system's allocator with the caller's arguments, under the same contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of every body that is lent.
const LENT: usize = 1 << 20;

/// What a call that waits may take for itself: less than the smallest part of what it was lent.
const OF_ITS_OWN: usize = 4096;

const SHORT: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// The call fails with this error; what it was lent is neither copied nor handed back.
#[track_caller]
fn refused(expected: SendError, call: impl FnOnce() -> Result<(), Unsent>) {
    let before = OCTETS.get();
    let result = call();
    let octets = OCTETS.get() - before;
    let unsent = result.unwrap_err();
    assert_eq!((unsent.error, unsent.message), (expected, None));
    assert!(octets <= OF_ITS_OWN, "{octets} octets were allocated");
}

/// The same for all that can be lent.
#[track_caller]
fn all_refused(expected: SendError, mut call: impl FnMut(Payload<'_>) -> Result<(), Unsent>) {
    let text = "x".repeat(LENT);
    let octets = text.clone().into_bytes();
    let frame = Frame::from(octets.clone());
    let message = Message::from([octets.clone(), octets.clone()]);
    refused(expected, || call((&octets[..]).into()));
    refused(expected, || call((&octets).into()));
    refused(expected, || call((&*text).into()));
    refused(expected, || call((&text).into()));
    refused(expected, || call((&frame).into()));
    refused(expected, || call((&message).into()));
    refused(SendError::TooManyParts, || call((&too_many_parts()).into()));
    let given = call(message.clone().into()).unwrap_err();
    assert_eq!((given.error, given.message), (expected, Some(message)));
}

/// Made once: it takes as many allocations as it has parts.
fn too_many_parts() -> Message {
    thread_local! {
        static PARTS: Message = Message::from(vec![Frame::new(); (1 << 17) + 1]);
    }
    let before = OCTETS.get();
    let parts = PARTS.with(Message::clone);
    OCTETS.set(before);
    parts
}

/// The result of a future that is ready at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the future waits"),
    }
}

fn open_without_peers<P: Sends>() -> (Context, Socket<P>)
where
    Context: Opens<P>,
{
    let context = Context::new();
    let socket = context.opened();
    (context, socket)
}

trait Opens<P: peermq::Pattern> {
    fn opened(&self) -> Socket<P>;
}

macro_rules! opens {
    ($($pattern:ty),*) => { $(
        impl Opens<$pattern> for Context {
            fn opened(&self) -> Socket<$pattern> {
                self.open().unwrap()
            }
        }
    )* };
}

opens!(Dealer, Pair, Push);

fn types_that_wait_for_room<P: Sends>()
where
    Context: Opens<P>,
{
    let (context, mut socket) = open_without_peers::<P>();
    all_refused(SendError::WouldBlock, |payload| socket.try_send(payload));
    all_refused(SendError::WouldBlock, |payload| socket.send_timeout(payload, SHORT));
    let shared = SharedSocket::new(socket);
    all_refused(SendError::WouldBlock, |payload| shared.try_send(payload));
    all_refused(SendError::WouldBlock, |payload| shared.send_timeout(payload, SHORT));
    let mut socket = shared.into_socket().unwrap();
    context.shutdown();
    all_terminated(|payload| socket.send(payload));
    all_terminated(|payload| ready(socket.send_async(payload)));
    let shared = SharedSocket::new(socket);
    all_terminated(|payload| shared.send(payload));
    all_terminated(|payload| ready(shared.send_async(payload)));
}

/// After the end of the context that is the error, however many parts there are.
#[track_caller]
fn all_terminated(mut call: impl FnMut(Payload<'_>) -> Result<(), Unsent>) {
    let octets = vec![7; LENT];
    let message = Message::from([octets.clone(), octets.clone()]);
    refused(SendError::Terminated, || call((&octets).into()));
    refused(SendError::Terminated, || call((&message).into()));
    let given = call(message.clone().into()).unwrap_err();
    assert_eq!(given.message, Some(message));
}

#[test]
fn types_that_wait_for_room_copy_nothing_of_what_they_refuse() {
    types_that_wait_for_room::<Push>();
    types_that_wait_for_room::<Pair>();
    types_that_wait_for_room::<Dealer>();
}

fn not_sent<T>(result: Result<T, RequestError>) -> Result<(), Unsent> {
    let Err(RequestError::NotSent(unsent)) = result else { panic!("it was sent") };
    Err(unsent)
}

#[test]
fn requests_and_replies_copy_nothing_of_what_they_refuse() {
    let context = Context::new();
    let mut req = context.open::<Req>().unwrap();
    all_refused(SendError::WouldBlock, |payload| req.try_request(payload).map(drop));
    all_refused(SendError::WouldBlock, |payload| req.request_timeout(payload, SHORT).map(drop));
    let shared = SharedSocket::new(req);
    all_refused(SendError::WouldBlock, |payload| not_sent(shared.request_timeout(payload, SHORT)));
    let mut req = shared.into_socket().unwrap();

    let mut reps: Vec<_> = (0..3).map(|_| context.open::<Rep>().unwrap()).collect();
    let mut dealers = Vec::new();
    for (number, rep) in reps.iter_mut().enumerate() {
        let endpoint = format!("inproc://lent-{number}");
        rep.bind(&*endpoint).unwrap();
        let mut dealer = context.open::<Dealer>().unwrap();
        dealer.connect(&*endpoint).unwrap();
        dealer.send(["", "question"]).unwrap();
        dealers.push(dealer);
    }
    let mut requests: Vec<_> = reps.iter_mut().map(|rep| rep.recv_timeout(PATIENCE).unwrap()).collect();
    let (parts, small) = (too_many_parts(), Message::from("x"));
    refused(SendError::TooManyParts, || requests.pop().unwrap().reply(&parts));
    context.shutdown();
    all_terminated(|payload| ready(req.request_async(payload)).map(drop));
    let octets = vec![7; LENT];
    refused(SendError::Terminated, || requests.pop().unwrap().reply(&octets));
    refused(SendError::Terminated, || requests.pop().unwrap().reply(&small));
}

#[test]
fn sockets_that_send_to_names_copy_nothing_of_what_they_refuse() {
    let context = Context::new();
    let nobody = RoutingId::new("nobody").unwrap();
    let mut router = context.builder_for::<Router>().router_mandatory(true).open().unwrap();
    let mut stream = context.open::<Stream>().unwrap();
    let unroutable = SendError::Unroutable;
    all_refused(unroutable, |payload| router.try_send_to(&nobody, payload));
    all_refused(unroutable, |payload| router.send_to(&nobody, payload));
    all_refused(unroutable, |payload| router.send_to_timeout(&nobody, payload, SHORT));
    all_refused(unroutable, |payload| ready(router.send_to_async(&nobody, payload)));
    all_refused(unroutable, |payload| stream.try_send_to(&nobody, payload));
    let shared = SharedSocket::new(router);
    all_refused(unroutable, |payload| shared.try_send_to(&nobody, payload));
    all_refused(unroutable, |payload| shared.send_to(&nobody, payload));
    all_refused(unroutable, |payload| ready(shared.send_to_async(&nobody, payload)));

    // With the name as the first frame.
    let any = context.builder_for_any(SocketType::Router).router_mandatory(true).open();
    let mut any = any.unwrap();
    let octets = vec![7; LENT];
    let message = Message::from([b"nobody".to_vec(), octets.clone(), octets.clone()]);
    refused(unroutable, || any.try_send(&message));
    refused(SendError::MissingBody, || any.try_send(&octets));
    let name_only = Message::from(octets.clone());
    refused(SendError::MissingBody, || any.try_send(&name_only));
    assert_eq!(any.try_send(message.clone()).unwrap_err().message, Some(message));

    // A peer that has no room.
    any.bind("inproc://lent-full").unwrap();
    let id = RoutingId::new("nobody").unwrap();
    let mut dealer =
        context.builder_for::<Dealer>().routing_id(id).recv_hwm(Hwm::messages(1)).open().unwrap();
    dealer.connect("inproc://lent-full").unwrap();
    let small = Message::from(["nobody", "x"]);
    while any.try_send(&small).is_ok() {}
    let message = Message::from([b"nobody".to_vec(), octets]);
    refused(SendError::WouldBlock, || any.try_send(&message));
    refused(SendError::WouldBlock, || any.send_timeout(&message, SHORT));
}

#[test]
fn publishers_and_subscribers_copy_nothing_of_what_they_refuse() {
    let context = Context::new();
    let one = Hwm::messages(1);
    let mut xpub = context.builder_for::<XPub>().xpub_nodrop(true).send_hwm(one).open().unwrap();
    xpub.bind("inproc://lent-topics").unwrap();
    let mut subs = [(), ()].map(|()| context.builder_for::<Sub>().recv_hwm(one).open().unwrap());
    for sub in &mut subs {
        sub.connect("inproc://lent-topics").unwrap();
        sub.subscribe("").unwrap();
    }
    xpub.wait_for_subscribers(2, PATIENCE).unwrap();
    while xpub.try_send("x").is_ok() {}
    all_refused(SendError::WouldBlock, |payload| xpub.try_send(payload));
    all_refused(SendError::WouldBlock, |payload| xpub.send_timeout(payload, SHORT));

    let mut xsub = context.open::<XSub>().unwrap();
    let topic = vec![1; (1 << 20) + 2];
    refused(SendError::TopicTooLong, || xsub.send(&topic));
    refused(SendError::TopicTooLong, || xsub.try_send(&topic));
}
