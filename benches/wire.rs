//! Frames: how fast octets that arrive become messages, and messages octets that leave, without a kernel.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peermq::bench::{Decoder, Encoder};

/// The last one travels by reference.
const SIZES: [usize; 5] = [8, 64, 1024, 8 * 1024, 64 * 1024];

/// What one read or write moves, about.
const OCTETS: usize = 128 * 1024;

/// A message of one frame, as RFC 37 has it.
fn framed(body: &[u8]) -> Vec<u8> {
    let header = match u8::try_from(body.len()) {
        Ok(size) => vec![0, size],
        Err(_) => [&[2], &(body.len() as u64).to_be_bytes()[..]].concat(),
    };
    [&header, body].concat()
}

fn frames(criterion: &mut Criterion) {
    for (name, is_decoding) in [("frames decoded", true), ("frames encoded", false)] {
        let mut group = criterion.benchmark_group(name);
        for size in SIZES {
            let (body, count) = (vec![7; size], OCTETS.div_ceil(size));
            let octets = framed(&body).repeat(count);
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                let (mut decoder, mut encoder) = (Decoder::new(), Encoder::new());
                assert_eq!(decoder.decode(&octets), Some(count));
                assert_eq!(encoder.encode(&body, count), octets.len());
                if is_decoding {
                    bencher.iter(|| decoder.decode(black_box(&octets)));
                } else {
                    bencher.iter(|| encoder.encode(black_box(&body), count));
                }
            });
        }
        group.finish();
    }
}

criterion_group!(benches, frames);
criterion_main!(benches);
