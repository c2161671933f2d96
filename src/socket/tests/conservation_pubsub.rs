//! The law of conservation for copies: each subscriber gets, or loses by a counter, all that it subscribed to.

use super::conservation::{OCTETS, conserve, narrow, until_peers};
use super::ledger::{Figures, Ledger};
use super::*;
use crate::{Pub, Publishes, Sub, Subscribes, XPub, XSub};

const STEPS: usize = 60;

/// The first octets of messages are the number of who sent them.
const TOPICS: &[&[u8]] = &[&[], &[0, 0, 0, 0], &[0, 0, 0, 1], &[0, 0, 0, 2], &[0, 0, 0, 3]];

struct Reader<S: Subscribes> {
    socket: Socket<S>,
    id: u32,
    topic: &'static [u8],
}

impl<S: Subscribes> Reader<S> {
    fn read(&mut self, ledger: &mut Ledger, most: usize) {
        for _ in 0..most {
            let Ok(message) = self.socket.try_recv() else { return };
            ledger.delivered(self.id, &message);
            assert!(message.body().starts_with(self.topic), "not subscribed to");
        }
    }
}

fn subscribers_come_and_go<P: Publishes, S: Subscribes>(place: &Place, seed: u64) -> Figures {
    let (mut ledger, mut dice) = (Ledger::of_copies(seed), Dice(seed * 0x9E37_79B9));
    let mut publisher: Socket<P> = narrow(place).open().unwrap();
    let endpoint = publisher.bind(place.address()).unwrap();
    let mut readers: Vec<Reader<S>> = Vec::new();
    let (mut came, mut cut_at_most) = (0, 0);
    for step in 0..STEPS {
        match dice.roll(8) {
            0 | 1 if readers.len() < 5 => {
                came += 1;
                let topic = TOPICS[dice.roll(TOPICS.len())];
                let mut socket: Socket<S> = narrow(place).open().unwrap();
                socket.connect(&endpoint).unwrap();
                socket.subscribe(topic).unwrap();
                readers.push(Reader { socket, id: came, topic });
                publisher.wait_for_subscribers(readers.len(), PATIENCE).unwrap();
            }
            2 if !readers.is_empty() && step > STEPS / 4 => {
                cut_at_most += ledger.missing();
                let Reader { socket, .. } = readers.swap_remove(dice.roll(readers.len()));
                ledger.figures.unreceived += socket.close(Duration::ZERO).unreceived;
                ledger.figures.left += 1;
                until_peers(&mut publisher, readers.len(), readers.len());
            }
            3 | 4 => {
                for _ in 0..dice.roll(40) {
                    let sender = u32::try_from(dice.roll(TOPICS.len())).unwrap();
                    let message = ledger.next(sender, dice.roll(OCTETS));
                    let copies = readers.iter().filter(|reader| message.body().starts_with(reader.topic));
                    let copies = copies.count() as u64;
                    publisher.try_send(message).unwrap();
                    ledger.accepted(sender, copies);
                }
            }
            _ if readers.is_empty() => {}
            _ => {
                let at = dice.roll(readers.len());
                readers[at].read(&mut ledger, dice.roll(30));
            }
        }
        let total = publisher.stats().total;
        let sent = total.sent.messages + total.dropped.full;
        assert_eq!(sent, ledger.figures.accepted, "seed {seed}");
    }
    eventually("nothing is queued", || {
        readers.iter_mut().for_each(|reader| reader.read(&mut ledger, usize::MAX));
        publisher.outgoing().queued == 0
    });
    let total = publisher.stats().total;
    let (outgoing, dropped) = (total.outgoing, total.dropped.total());
    assert_eq!(publisher.close(PATIENCE).dropped, 0);
    for reader in &mut readers {
        eventually("the publisher is gone", || {
            reader.read(&mut ledger, usize::MAX);
            reader.socket.peers().is_empty()
        });
        reader.read(&mut ledger, usize::MAX);
    }
    let figures = &mut ledger.figures;
    figures.came = came.into();
    figures.dropped = dropped;
    figures.lost = outgoing.lost;
    figures.cut = outgoing.handed_over - figures.delivered - figures.unreceived;
    assert!(figures.cut <= if place.transport == Transport::Inproc { 0 } else { cut_at_most }, "seed {seed}");
    *figures
}

#[test]
fn pub_conserves_while_subscribers_come_and_go() {
    conserve("PUB", 4, subscribers_come_and_go::<Pub, Sub>);
}

#[test]
fn xpub_conserves_while_subscribers_come_and_go() {
    conserve("XPUB", 2, subscribers_come_and_go::<XPub, XSub>);
}

/// Messages of an XSUB, upstream, while publishers leave: they are told of at the end.
fn messages_upstream(place: &Place, seed: u64) -> Figures {
    let (mut ledger, mut dice) = (Ledger::of_copies(seed), Dice(seed * 0x9E37_79B9));
    let mut xsub: Socket<XSub> = narrow(place).open().unwrap();
    let endpoint = xsub.bind(place.address()).unwrap();
    let mut xpubs: Vec<Socket<XPub>> = (0..3).map(|_| narrow(place).open().unwrap()).collect();
    for xpub in &mut xpubs {
        xpub.connect(&endpoint).unwrap();
    }
    until_peers(&mut xsub, 3, 3);
    for _ in 0..STEPS {
        for _ in 0..dice.roll(20) {
            // A first octet of 0 or 1 would be a subscription.
            let sender = u32::MAX;
            xsub.try_send(ledger.next(sender, dice.roll(OCTETS))).unwrap();
            ledger.accepted(sender, 3);
        }
        let at = dice.roll(3);
        for _ in 0..dice.roll(30) {
            let Ok(message) = xpubs[at].try_recv() else { break };
            ledger.delivered(u32::try_from(at).unwrap(), &message);
        }
        assert_eq!(xsub.outgoing().accepted() + xsub.dropped().full, ledger.figures.accepted, "seed {seed}");
    }
    eventually("everything that was not dropped is here", || {
        for (receiver, xpub) in (0..).zip(&mut xpubs) {
            while let Ok(message) = xpub.try_recv() {
                ledger.delivered(receiver, &message);
            }
        }
        ledger.missing() == xsub.dropped().total()
    });
    ledger.figures.came = 3;
    ledger.figures.dropped = xsub.dropped().total();
    ledger.figures
}

#[test]
fn xsub_conserves_what_it_sends_upstream() {
    conserve("XSUB, upstream", 2, messages_upstream);
}
