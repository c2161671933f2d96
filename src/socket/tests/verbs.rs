//! send and recv in all their forms.

use super::*;
use crate::{Pair, RecvError, SendError, Timeout};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn recv_waits_as_long_as_the_option_says() {
    over(ALL, |place| {
        let (mut pull, _) = place.bound::<Pull>();
        pull.set_recv_timeout(SHORT);
        let start = Instant::now();
        assert_eq!(pull.recv(), Err(RecvError::WouldBlock));
        assert!(start.elapsed() >= SHORT);
        pull.set_recv_timeout(Timeout::AT_ONCE);
        assert_eq!(pull.recv(), Err(RecvError::WouldBlock));
        let start = Instant::now();
        assert_eq!(pull.recv_timeout(SHORT), Err(RecvError::WouldBlock));
        assert!(start.elapsed() >= SHORT);
    });
}

#[test]
fn send_waits_as_long_as_the_option_says() {
    // L-04, L-12: "EAGAIN exact".
    over(ALL, |place| {
        let (mut push, _) = place.bound::<Push>();
        push.set_send_timeout(SHORT);
        let start = Instant::now();
        let unsent = push.send("nobody").unwrap_err();
        assert!(start.elapsed() >= SHORT);
        assert_eq!((unsent.error, unsent.message), (SendError::WouldBlock, None));
        push.set_send_timeout(Timeout::AT_ONCE);
        assert_eq!(push.send("nobody").unwrap_err().error, SendError::WouldBlock);
        let start = Instant::now();
        push.send_timeout("nobody", SHORT).unwrap_err();
        assert!(start.elapsed() >= SHORT);
    });
}

#[test]
fn a_timeout_beyond_all_time_waits_for_ever() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let mut push: Socket<Push> = place.connected(&endpoint);
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(pull.recv_timeout(Duration::MAX).unwrap(), "here"));
        push.send_timeout("here", Duration::MAX).unwrap();
    });
}

#[test]
fn recv_waits_for_what_another_thread_sends() {
    // L-13
    over(ALL, |place| {
        let (mut ours, endpoint) = place.bound::<Pair>();
        let mut theirs: Socket<Pair> = place.connected(&endpoint);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..500 {
                    let message = theirs.recv().unwrap();
                    theirs.send(message).unwrap();
                }
            });
            for number in 0..500 {
                ours.send(&numbered(number)).unwrap();
                assert_eq!(number_of(&recv(&mut ours)), number);
            }
        });
    });
}

#[test]
fn recv_into_replaces_all_of_the_old_message() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, ["several", "frames"]);
        send(&mut push, vec![9; 300_000]);
        send(&mut push, "short");
        send(&mut push, "");
        let mut message = Message::from(["old", "frames", "that", "go"]);
        pull.set_recv_timeout(PATIENCE);
        pull.recv_into(&mut message).unwrap();
        assert_eq!(message, ["several", "frames"]);
        pull.recv_into(&mut message).unwrap();
        assert_eq!(message, vec![9; 300_000]);
        pull.recv_into(&mut message).unwrap();
        assert_eq!(message, "short");
        pull.recv_into(&mut message).unwrap();
        assert_eq!((message.frame_count(), message.size()), (1, 0));
        message = "as before".into();
        assert_eq!(pull.try_recv_into(&mut message), Err(RecvError::WouldBlock));
        assert_eq!(message, "as before");
    });
}

#[test]
fn what_is_borrowed_stays_the_callers() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let mut push: Socket<Push> = place.connected(&endpoint);
    let message = Message::from([vec![1; 20_000], vec![2; 3]]);
    for _ in 0..3 {
        push.try_send(&message).unwrap();
        assert_eq!(recv(&mut pull), message);
    }
}

#[test]
fn a_socket_goes_on_in_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        is_send(&push);
        send(&mut push, "from here");
        let mut push = thread::spawn(move || {
            send(&mut push, "from there");
            push
        })
        .join()
        .unwrap();
        send(&mut push, "from here again");
        assert_eq!(recv(&mut pull), "from here");
        let receiver = thread::spawn(move || {
            assert_eq!(recv(&mut pull), "from there");
            assert_eq!(recv(&mut pull), "from here again");
            pull
        });
        let mut pull = receiver.join().unwrap();
        send(&mut push, "back");
        assert_eq!(recv(&mut pull), "back");
    });
}

#[test]
fn parts_of_a_message_go_nowhere_before_the_last_one_is_there() {
    // F-15: "queues all frames in memory until the last one is handed over": parts gather in the message.
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        let mut message = Message::from("first part");
        send(&mut push, "before");
        assert_eq!(recv(&mut pull), "before");
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
        message.push("second part");
        message.push("last part");
        send(&mut push, message);
        assert_eq!(recv(&mut pull), ["first part", "second part", "last part"]);
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    });
}
