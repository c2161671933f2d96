//! Sockets as `Stream` and `Sink`, monitors as a `Stream`: with the feature `futures`.
#![cfg(feature = "futures")]

use std::error::Error;

use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use peermq::{Context, Dealer, EventKind, Message, Pull, Push, Router};

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
    let watching = std::thread::spawn(move || {
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
