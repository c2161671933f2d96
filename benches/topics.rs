//! Subscriptions: how long it takes to see which of few or many a message is for.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peermq::bench::Topics;

/// Messages that one iteration looks at: different ones, as an index that is larger than the caches has to show.
const MESSAGES: usize = 1000;

/// How far apart their topics are: without a common divisor with any count of them.
const STRIDE: usize = 618_033;

fn topic(number: usize) -> Vec<u8> {
    format!("sensor/{:03}/{:03}/", number / 1000, number % 1000).into_bytes()
}

fn matches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("messages matched");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for count in [1, 1_000, 1_000_000] {
        let topics = Topics::new((0..count).map(topic));
        assert_eq!(topics.count(), count);
        let message = |number| [&topic(number), b"a reading of 20 bytes".as_slice()].concat();
        let wanted: Vec<Vec<u8>> = (0..MESSAGES).map(|at| message(at * STRIDE % count)).collect();
        let unwanted: Vec<Vec<u8>> = (0..MESSAGES).map(|at| message(count + at)).collect();
        for (name, messages, expected) in [("wanted", &wanted, MESSAGES), ("not wanted", &unwanted, 0)] {
            let found = || messages.iter().map(|it| topics.matches(black_box(it))).sum::<usize>();
            assert_eq!(found(), expected);
            group.bench_function(BenchmarkId::new(name, count), |bencher| bencher.iter(found));
        }
    }
    group.finish();
}

criterion_group!(benches, matches);
criterion_main!(benches);
