//! A connection on which its socket's thread and an I/O thread work in turn.

use super::*;

const PIPES: u8 = 1;

/// A session that its socket's thread and an I/O thread drive in turn.
struct Desk {
    session: Handover<(Drain, Vec<u8>)>,
    /// Where it puts what arrives.
    inbound: Handover<Producer>,
}

impl Desk {
    /// Writes until the pipe will tell; `is_alone`: on the thread that sends.
    fn drive(&self, work: u8, is_alone: bool) {
        self.session.drive(work, |(drain, written), _| {
            loop {
                write(drain, written, usize::MAX);
                if drain.wait_for_messages(is_alone) {
                    return false;
                }
            }
        });
    }

    /// Reads the one message that arrives.
    fn read(&self, work: u8) {
        self.inbound.drive(work, |producer, _| {
            producer.try_send(&mut Message::from("a").into()).unwrap();
            false
        });
    }
}

fn desk(consumer: Consumer, inbound: Producer) -> Arc<Desk> {
    let session = Handover::new((consumer.into_drain(), Vec::new()), PIPES);
    Arc::new(Desk { session, inbound: Handover::new(inbound, PIPES) })
}

#[test]
fn what_a_caller_sends_is_written_by_it_or_by_whoever_is_at_work() {
    check(|| {
        let (mut producer, consumer) = pipe(None);
        producer.attend();
        let desk = desk(consumer, pipe(None).0);
        let io = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || desk.drive(PIPES, false))
        };
        let messages = ["a", "b"].map(Message::from);
        for message in messages.clone() {
            producer.try_send(&mut message.into()).unwrap();
            if producer.take_batch() && producer.take_due() {
                desk.drive(PIPES, true);
            }
        }
        io.join().unwrap();
        let held = desk.session.lock();
        assert_eq!(held.1, messages.iter().flat_map(framed).collect::<Vec<_>>());
    });
}

#[test]
fn who_asks_to_be_told_while_the_session_stands_still_is_told() {
    check(|| {
        let (inbound, mut socket) = pipe(None);
        let bell = Arc::new(Notify::new());
        socket.set_wake_up(Sleeper::wake_up(Ready::Readable, &bell));
        let desk = desk(pipe(None).1, inbound);
        let io = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                desk.read(PIPES);
            })
        };
        let mut message = Message::new();
        while socket.try_recv(&mut message).is_err() {
            let held = desk.inbound.try_lock();
            let is_alone = held.is_some();
            let waits = if is_alone { socket.wait_for_messages_alone() } else { socket.wait_for_messages() };
            drop(held);
            // Whoever noted while we held it left it to us.
            desk.read(0);
            if waits {
                bell.wait();
            }
        }
        assert_eq!(message, "a");
        io.join().unwrap();
    });
}
