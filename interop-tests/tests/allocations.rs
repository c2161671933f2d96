//! No allocation per message: counted in every thread of the process, also the I/O threads.
//!
//! A binary of its own with one test, since whatever else ran beside it would be counted too.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "a global allocator that counts")]
#![allow(clippy::disallowed_types, reason = "counts outside the library's view")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use peermq::{Context, Message, Pub, Pull, Push, Socket, Sub};

/// Counts what it hands out.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator with the caller's arguments, under the same contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `realloc`'s contract, and `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
}

const MESSAGES: usize = 100_000;

/// Until every queue has had its longest.
const WARM_UP: usize = 300_000;

/// As many messages as an inproc pipe holds. One more segment than usual has some of them if the first lies at the
/// end of its segment, which has room for 1985.
const LONGEST: usize = 2_000;

/// Until the first message of a round has been everywhere in its segment: each is 15 further on.
const ROUNDS: usize = 1_985 / (LONGEST - 1_985) + 1;

/// Allocations while 100,000 messages of 64 octets go from a slice into a message that is used again.
fn allocations(address: &str) -> u64 {
    let (mut push, mut pull) = pair(address);
    let start = Arc::new(Barrier::new(2));
    let end = Arc::clone(&start);
    let (hand_over, handed_over) = mpsc::channel();
    let sender = thread::spawn(move || {
        let body = [7; 64];
        for _ in 0..8 {
            fill_and_drain(&mut push, &mut pull);
        }
        stream(&mut push, &mut pull);
        hand_over.send(pull).unwrap();
        for _ in 0..WARM_UP {
            push.send_timeout(&body, Duration::from_secs(30)).unwrap();
        }
        end.wait();
        end.wait();
        for _ in 0..MESSAGES {
            push.send_timeout(&body, Duration::from_secs(30)).unwrap();
        }
        end.wait();
    });
    let mut pull = handed_over.recv().unwrap();
    let mut message = Message::new();
    let mut receive = |count| {
        for _ in 0..count {
            pull.recv_into(&mut message).unwrap();
            assert_eq!(message.size(), 64);
        }
    };
    receive(WARM_UP);
    start.wait();
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    start.wait();
    receive(MESSAGES);
    let after = ALLOCATIONS.load(Ordering::SeqCst);
    start.wait();
    sender.join().unwrap();
    after - before
}

/// Allocations while 20,000 messages go from one PUB to three SUBs, which want everything, or a part.
fn allocations_of_fan_out(address: &str) -> u64 {
    let context = Context::new();
    let mut publisher: Socket<Pub> = context.open().unwrap();
    let endpoint = publisher.bind(address).unwrap();
    let mut subscribers: Vec<Socket<Sub>> = Vec::new();
    for topics in [&[""][..], &["topic"], &["t", "topic", "other"]] {
        let mut subscriber: Socket<Sub> = context.open().unwrap();
        subscriber.connect(&endpoint).unwrap();
        topics.iter().for_each(|topic| subscriber.subscribe(topic).unwrap());
        subscribers.push(subscriber);
    }
    // Two of them want the same topic: each has to be known.
    while publisher.subscriber_count() < 3 || publisher.topic_count() < 4 {
        thread::yield_now();
    }
    let mut message = Message::new();
    let mut batches = |count| {
        for _ in 0..count {
            for _ in 0..500 {
                publisher.send(b"topic, and 64 octets in all, as in the other half of this test...").unwrap();
            }
            for subscriber in &mut subscribers {
                for _ in 0..500 {
                    subscriber.recv_into(&mut message).unwrap();
                }
            }
        }
    };
    batches(200);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    batches(40);
    ALLOCATIONS.load(Ordering::SeqCst) - before
}

/// Both ends wait once: the sender for room, the receiver for messages.
fn fill_and_drain(push: &mut Socket<Push>, pull: &mut Socket<Pull>) {
    let mut sent = 0;
    while push.send_timeout(&[7; 64], Duration::from_millis(10)).is_ok() {
        sent += 1;
    }
    for _ in 0..sent {
        pull.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    pull.recv_timeout(Duration::from_millis(10)).unwrap_err();
}

fn pair(address: &str) -> (Socket<Push>, Socket<Pull>) {
    let context = Context::new();
    let mut pull = context.open::<Pull>().unwrap();
    let endpoint = pull.bind(address).unwrap();
    let mut push = context.open::<Push>().unwrap();
    push.connect(&endpoint).unwrap();
    (push, pull)
}

/// The queue has its longest, in every place. This thread has both ends, and its list of the connections that it
/// streams on has had entries.
fn stream(push: &mut Socket<Push>, pull: &mut Socket<Pull>) {
    let mut message = Message::new();
    for _ in 0..ROUNDS {
        for _ in 0..LONGEST {
            push.send_timeout(&[7; 64], Duration::from_secs(30)).unwrap();
        }
        for _ in 0..LONGEST {
            pull.recv_into(&mut message).unwrap();
        }
    }
}

#[test]
fn a_message_costs_no_allocation() {
    let (mut push, mut pull) = pair("tcp://127.0.0.1:0");
    stream(&mut push, &mut pull);
    drop((push, pull));
    for address in ["inproc://allocations", "tcp://127.0.0.1:0", "ipc://*"] {
        assert_eq!(allocations(address), 0, "{address}");
    }
    for address in ["inproc://fan-out", "tcp://127.0.0.1:0", "ipc://*"] {
        // Three connections share threads: a queue may have its longest at any time, but hardly twice.
        let allocations = allocations_of_fan_out(address);
        assert!(allocations < 10, "{address}: {allocations} in 20,000 messages");
    }
}
