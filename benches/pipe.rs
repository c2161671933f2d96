//! One pipe: what a message costs from `send` to `recv`, on one core and from one core to another.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::{black_box, spin_loop};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peermq::Message;
use peermq::bench::{Receiver, Sender, pipe};

const SIZES: [usize; 6] = [8, 64, 256, 1024, 4 * 1024, 8 * 1024];

/// As many as sockets queue without options.
const LIMIT: u64 = 1000;

/// Messages in the pipe at once, on one core.
const BATCH: u64 = 100;

/// Processor pauses between two looks of an end that waits, as sockets have them: who looks all the time has each
/// message's cache line sent to and fro.
const PAUSES: u32 = 8;

/// How often an end looks before it lets others run.
const LOOKS: u32 = 1000;

fn one_core(size: usize, count: u64) -> Duration {
    let (mut sender, mut receiver) = pipe(LIMIT);
    let (body, mut message) = (vec![7; size], Message::new());
    let start = Instant::now();
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        for _ in 0..batch {
            black_box(sender.send(&body));
        }
        for _ in 0..batch {
            black_box(receiver.recv(&mut message));
        }
        left -= batch;
    }
    start.elapsed()
}

fn two_cores(size: usize, count: u64) -> Duration {
    let (mut sender, mut receiver) = pipe(LIMIT);
    let body = vec![7; size];
    let thread = thread::spawn(move || {
        pin(1);
        for _ in 0..=count {
            send(&mut sender, &body);
        }
        sender
    });
    pin(0);
    let mut message = Message::new();
    recv(&mut receiver, &mut message); // both are at work
    let start = Instant::now();
    for _ in 0..count {
        recv(&mut receiver, &mut message);
        black_box(message.body());
    }
    let elapsed = start.elapsed();
    drop(thread.join());
    elapsed
}

/// Where there is one core only, the system shares it out.
fn pin(id: usize) {
    core_affinity::set_for_current(CoreId { id });
}

fn send(sender: &mut Sender, body: &[u8]) {
    repeat_until(|| sender.send(body));
}

fn recv(receiver: &mut Receiver, message: &mut Message) {
    repeat_until(|| receiver.recv(message));
}

#[inline]
fn repeat_until(mut succeeds: impl FnMut() -> bool) {
    let mut looks = 0;
    while !succeeds() {
        looks += 1;
        if looks % LOOKS == 0 { thread::yield_now() } else { (0..PAUSES).for_each(|_| spin_loop()) }
    }
}

fn pipes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipe");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("one core", size), |bencher| {
            bencher.iter_custom(|count| one_core(size, count));
        });
        group.bench_function(BenchmarkId::new("two cores", size), |bencher| {
            bencher.iter_custom(|count| two_cores(size, count));
        });
    }
    group.finish();
}

criterion_group!(benches, pipes);
criterion_main!(benches);
