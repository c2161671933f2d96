//! STREAM while every system call fails at random: octets without messages, so the books are those of connections.

use super::conservation::narrow;
use super::faults::{CLOSING, Trial, campaign, is_single};
use super::*;
use crate::{RoutingId, Stream};

/// Octets of a record: a number, and all its bits turned.
const RECORD: usize = 8;

fn record(number: u32) -> [u8; RECORD] {
    (u64::from(number) << 32 | u64::from(!number)).to_be_bytes()
}

/// What one side has heard on each of its connections.
#[derive(Default)]
struct Conversations {
    open: Vec<(RoutingId, Vec<u8>)>,
    over: Vec<Vec<u8>>,
}

impl Conversations {
    /// Octets, or the news that a connection has begun or ended.
    fn note(&mut self, from: &RoutingId, octets: &[u8]) {
        let at = self.open.iter().position(|(peer, _)| peer == from);
        match at {
            None => {
                assert!(octets.is_empty(), "octets of nobody");
                self.open.push((from.clone(), Vec::new()));
            }
            Some(at) if octets.is_empty() => self.over.push(self.open.swap_remove(at).1),
            Some(at) => self.open[at].1.extend(octets),
        }
    }

    fn hear(&mut self, socket: &mut Socket<Stream>) -> bool {
        let Ok((from, message)) = socket.recv_timeout(TURN) else { return false };
        self.note(&from, message.body());
        true
    }

    /// All numbers that have arrived. On each connection they are without a gap, and whole but for the last.
    fn numbers(&self) -> Vec<u32> {
        let mut all = Vec::new();
        for octets in self.over.iter().chain(self.open.iter().map(|(_, octets)| octets)) {
            let mut last = None;
            for octets in octets.chunks_exact(RECORD) {
                let number = u32::from_be_bytes(octets[..4].try_into().unwrap());
                assert_eq!(octets, record(number), "corrupt");
                assert!(last.is_none_or(|last| last + 1 == number), "{number} behind {last:?}");
                last = Some(number);
                all.push(number);
            }
        }
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "twice");
        all
    }
}

/// The side that sends.
struct Talker {
    socket: Socket<Stream>,
    known: Conversations,
    next: u32,
}

impl Talker {
    fn send_some(&mut self, most: usize) {
        while self.known.hear(&mut self.socket) {}
        let Some((peer, _)) = self.known.open.first() else { return };
        for _ in 0..most {
            self.next += u32::from(self.socket.try_send_to(peer, &record(self.next)).is_ok());
        }
    }
}

fn streamed(trial: &mut Trial) {
    trial.place = Place::in_context(Transport::Tcp, trial.place.context.clone());
    let mut server: Socket<Stream> = narrow(&trial.place).open().unwrap();
    let mut socket: Socket<Stream> = narrow(&trial.place).open().unwrap();
    trial.connect(&mut server, &mut socket);
    let mut talker = Talker { socket, known: Conversations::default(), next: 0 };
    let mut heard = Conversations::default();
    trial.storm(|dice| talker.send_some(dice.roll(300)), |_| while heard.hear(&mut server) {});
    trial.plan.end();
    let first = talker.next;
    eventually("there is one connection, which works", || {
        while heard.hear(&mut server) {}
        let works = heard.numbers().last().is_some_and(|last| *last >= first);
        talker.send_some(usize::from(!works));
        works && is_single(&mut talker.socket) && is_single(&mut server)
    });
    let closing = talker.next;
    eventually("all that is sent at last is here", || {
        talker.send_some((closing + CLOSING - talker.next) as usize);
        heard.hear(&mut server);
        heard.numbers().last().is_some_and(|last| *last + 1 == closing + CLOSING)
    });
    let numbers = heard.numbers();
    let begin = numbers.partition_point(|number| *number < closing);
    assert!(numbers[begin..].iter().copied().eq(closing..closing + CLOSING));
    if trial.is_harmless() {
        assert!(numbers.iter().copied().eq(0..closing + CLOSING));
    }
}

#[test]
fn streams_outlive_all_faults() {
    campaign("STREAM", streamed);
}
