//! Sockets as `Stream` and `Sink`, monitors as a `Stream`: with the feature `futures`.
#![cfg(feature = "futures")]

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{self, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use peermq::{Context, Dealer, EventKind, Hwm, Message, Pair, Pull, Push, Req, Router, SocketType, Unsent};

type Failure = Box<dyn Error + Send + Sync>;

#[test]
fn a_sink_feeds_a_stream_and_neither_loses_anything() -> Result<(), Failure> {
    const COUNT: u32 = 2_000;
    for endpoint in ["tcp://127.0.0.1:0", "inproc://stream"] {
        let context = Context::new();
        let mut pull = context.builder_for::<Pull>().recv_hwm(5).open()?;
        let endpoint = pull.bind(endpoint)?;
        let mut push = context.builder_for::<Push>().send_hwm(5).open()?;
        push.connect(&endpoint)?;
        let numbers =
            futures::stream::iter((0..COUNT).map(|number| Ok(Message::from(&number.to_be_bytes()[..]))));
        let sending = numbers.forward(push.sink_map_err(|unsent| unsent.error));
        let receiving = async {
            for number in 0..COUNT {
                let message = pull.next().await.ok_or("the stream ended")??;
                assert_eq!(message, &number.to_be_bytes()[..]);
            }
            Ok::<(), Failure>(())
        };
        let (sent, received) = futures::executor::block_on(futures::future::join(sending, receiving));
        sent?;
        received?;
        context.shutdown();
        assert!(futures::executor::block_on(pull.next()).is_none(), "a shutdown ends it");
    }
    Ok(())
}

/// Two tasks, on threads of their own, one of which reads a socket while the other one writes to it.
#[test]
fn the_halves_of_a_socket_are_each_woken_for_what_they_wait_for() -> Result<(), Failure> {
    const COUNT: u32 = 2_000;
    for endpoint in ["tcp://127.0.0.1:0", "inproc://halves"] {
        let context = Context::new();
        let one = Hwm::messages(1);
        let mut far = context.builder_for::<Pair>().recv_hwm(one).send_hwm(one).open()?;
        let endpoint = far.bind(endpoint)?;
        let mut near = context.builder_for::<Pair>().recv_hwm(one).send_hwm(one).open()?;
        near.connect(&endpoint)?;
        let (sink, stream) = futures::StreamExt::split(near); // a socket has a `split` of its own
        let numbers = || (0..COUNT).map(|number| Message::from(&number.to_be_bytes()[..]));
        let writing = thread::spawn(move || {
            futures::executor::block_on(
                futures::stream::iter(numbers().map(Ok))
                    .forward(sink.sink_map_err(|unsent: Unsent| unsent.error)),
            )
        });
        let (tell, told) = mpsc::channel();
        let reading = thread::spawn(move || {
            let read = futures::executor::block_on(stream.take(COUNT as usize).try_collect::<Vec<Message>>());
            tell.send(read)
        });
        let patience = Duration::from_secs(30);
        for number in 0..COUNT {
            // By turns, so that now this one waits, now that one.
            if number % 3 == 0 {
                far.send_timeout(&number.to_be_bytes(), patience)?;
            }
            assert_eq!(far.recv_timeout(patience)?, &number.to_be_bytes()[..]);
            if number % 3 != 0 {
                far.send_timeout(&number.to_be_bytes(), patience)?;
            }
        }
        let read = told.recv_timeout(patience)??;
        reading.join().map_err(|_| "the reader panicked")??;
        writing.join().map_err(|_| "the writer panicked")??;
        assert!(read.into_iter().eq(numbers()));
    }
    Ok(())
}

/// What a REP may send depends on what it has received, of which no peer tells.
#[test]
fn the_stream_of_a_rep_wakes_its_sink() -> Result<(), Failure> {
    #[derive(Default)]
    struct Bell(AtomicBool);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let context = Context::new();
    let mut rep = context.open_any(SocketType::Rep)?;
    rep.bind("inproc://rep")?;
    let mut req = context.open::<Req>()?;
    req.connect("inproc://rep")?;
    let reply = req.request("question")?;
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let (mut sending, mut receiving) =
        (task::Context::from_waker(&waker), task::Context::from_waker(Waker::noop()));
    assert!(rep.poll_ready_unpin(&mut sending).is_pending());
    bell.0.store(false, Ordering::SeqCst);
    assert!(rep.poll_next_unpin(&mut receiving).is_ready());
    assert!(bell.0.load(Ordering::SeqCst), "it is the sink's turn");
    assert!(rep.poll_ready_unpin(&mut sending).is_ready());
    rep.start_send_unpin("answer".into())?;
    assert_eq!(reply.recv()?, "answer");
    Ok(())
}

#[test]
fn a_router_is_a_stream_of_messages_with_names() -> Result<(), Failure> {
    let context = Context::new();
    let mut router = context.open::<Router>()?;
    let endpoint = router.bind("tcp://127.0.0.1:0")?;
    let mut dealer = context.open::<Dealer>()?;
    dealer.connect(&endpoint)?;
    futures::executor::block_on(async {
        // A socket has a `send` of its own, which does not wait in a task.
        futures::SinkExt::send(&mut dealer, "to the stream".into()).await?;
        let (name, message) = router.try_next().await?.ok_or("the stream ended")?;
        assert_eq!(message, "to the stream");
        router.send_to_async(&name, "to the sink").await?;
        assert_eq!(dealer.try_next().await?.ok_or("the stream ended")?, "to the sink");
        Ok(())
    })
}

#[test]
fn a_monitor_is_a_stream_of_events_that_ends_with_its_socket() -> Result<(), Failure> {
    let context = Context::new();
    let mut pull = context.open::<Pull>()?;
    let mut events = pull.monitor().into_stream();
    let endpoint = pull.bind("tcp://127.0.0.1:0")?;
    let mut push = context.open::<Push>()?;
    push.connect(&endpoint)?;
    let watching = thread::spawn(move || {
        futures::executor::block_on(async {
            // Until it is there, and on from where that was.
            let is_ready = |kind: &EventKind| matches!(kind, EventKind::Ready(_));
            while !is_ready(&events.next().await.ok_or("the stream ended")?.kind) {}
            let names: Vec<_> = events.map(|event| event.kind.name()).collect().await;
            Ok::<_, Failure>(names)
        })
    });
    push.send("hello")?;
    assert_eq!(pull.recv()?, "hello");
    drop(push);
    drop(pull);
    let names = watching.join().map_err(|_| "the watcher panicked")??;
    assert_eq!(names.last(), Some(&EventKind::Stopped.name()));
    assert_eq!(names.iter().filter(|name| **name == EventKind::Stopped.name()).count(), 1);
    Ok(())
}
