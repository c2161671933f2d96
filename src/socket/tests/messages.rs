//! Messages of every size arrive as they were sent.

use super::*;
use crate::Pair;

/// Around every change of form: inline, one-octet lengths, copied bodies, segments, reads.
const SIZES: &[usize] = &[
    0,
    1,
    69,
    70,
    71,
    254,
    255,
    256,
    511,
    512,
    4095,
    8191,
    8192,
    8193,
    65_535,
    65_536,
    131_071,
    131_072,
    131_073,
    262_144,
    1 << 20,
    5 << 20,
];

fn octets(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from((at * 31 + at / 251 + seed) % 251).unwrap()).collect()
}

fn each_size_arrives_whole<S: Sends, R: Receives>(place: &Place) {
    let (mut receiver, endpoint) = place.bound::<R>();
    let mut sender: Socket<S> = place.connected(&endpoint);
    // All at once, then one by one.
    for &size in SIZES {
        send(&mut sender, octets(size, 1));
    }
    for &size in SIZES {
        assert!(recv(&mut receiver) == octets(size, 1), "{size} octets");
    }
    for &size in SIZES.iter().rev() {
        let body = octets(size, 2);
        send(&mut sender, &body);
        assert!(recv(&mut receiver) == body, "{size} octets");
    }
}

#[test]
fn messages_of_up_to_5_mib_arrive_whole() {
    // L-01, L-06: no change.
    over(ALL, each_size_arrives_whole::<Push, Pull>);
}

#[test]
fn messages_of_up_to_5_mib_arrive_whole_at_a_pair() {
    // L-10, L-13
    over(ALL, each_size_arrives_whole::<Pair, Pair>);
}

#[test]
fn messages_of_up_to_1000_parts_arrive_whole() {
    // L-01, L-06, E-09: messages are atomic.
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        let mut dice = Dice(47);
        let messages: Vec<Message> = [1, 2, 3, 10, 15, 16, 17, 100, 255, 256, 999, 1000]
            .into_iter()
            .map(|parts| {
                let frames = (0..parts).map(|_| {
                    let sizes = [0, 1, 70, 255, 256, 5000, 8193, 20_000];
                    octets(sizes[dice.roll(sizes.len())], dice.roll(100))
                });
                Message::from_frames(frames).unwrap()
            })
            .collect();
        for message in &messages {
            send(&mut push, message);
        }
        for message in messages {
            let received = recv(&mut pull);
            assert!(received == message, "{} parts", message.frame_count());
        }
    });
}

#[test]
fn a_mix_of_messages_streams_whole_and_in_order() {
    // E-09, E-11
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        let message = |dice: &mut Dice, number: u32| {
            let parts = 1 + dice.roll(8) / 7 * dice.roll(20);
            let mut message = Message::from(numbered(number).to_vec());
            for _ in 1..parts {
                message
                    .push(vec![u8::try_from(dice.roll(256)).unwrap(); dice.roll(5) / 4 * dice.roll(30_000)]);
            }
            message
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut dice = Dice(11);
                for number in 0..3000 {
                    let message = message(&mut dice, number);
                    send(&mut push, message);
                }
            });
            let mut dice = Dice(11);
            for number in 0..3000 {
                let expected = message(&mut dice, number);
                assert!(recv(&mut pull) == expected, "message {number}");
            }
        });
    });
}
