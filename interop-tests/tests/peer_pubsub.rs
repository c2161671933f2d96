//! libzmq and pyzmq as publishers, subscribers and proxies in processes of their own: 1 to 10,000 topics, and chains of
//! two proxies, of either kind, between a publisher and a subscriber of either kind. S-01 to S-38.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, Transport, message_of};
use interop_tests::tally;
use interop_tests::theirs::{Address, Binds, Frames, Implementation, Place, Theirs};
use peermq::{
    Builder, Context, Hwm, Interest, Message, Pattern, Poller, Pub, ReconnectInterval, RecvError, Socket,
    Sub, XPub, XSub,
};

/// Without limits: what is lost is lost by mistake.
fn builder<P: Pattern>(context: &Context) -> Builder<P> {
    let builder = context.builder_for::<P>().send_timeout(DEADLINE).recv_timeout(DEADLINE);
    let builder = builder.send_hwm(Hwm::UNLIMITED).recv_hwm(Hwm::UNLIMITED);
    builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5)))
}

fn open<P: Pattern>() -> Socket<P> {
    builder(&Context::builder().io_threads(1).build()).open().unwrap()
}

const TOPICS: [usize; 5] = [1, 10, 100, 1000, 10_000];

fn topic(number: usize) -> String {
    format!("{number:05}")
}

/// For each of so many topics a message, and those between them, which nobody asked for.
fn published(topics: usize) -> (Vec<Frames>, Vec<Frames>) {
    let message = |topic: String, body: &str| vec![topic.into_bytes(), body.as_bytes().to_vec()];
    let wanted: Vec<Frames> = (0..topics).map(|number| message(topic(number), "wanted")).collect();
    let unwanted = (0..topics).map(|number| message(format!("{number:04}x"), "unwanted"));
    (wanted.iter().cloned().zip(unwanted).flat_map(|(one, other)| [other, one]).collect(), wanted)
}

#[test]
fn ours_knows_all_topics_that_theirs_subscribes_to() {
    for implementation in Implementation::ALL {
        for place in Place::EVERYWHERE {
            for topics in TOPICS {
                let (published, wanted) = published(topics);
                let mut ours = open::<Pub>();
                let address = Address::new();
                let options: Vec<String> = (0..topics).map(|it| format!("SUBSCRIBE={}", topic(it))).collect();
                let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
                // libzmq drops subscriptions above its mark for what is sent, unless there is none.
                options.extend(["RCVHWM=0", "SNDHWM=0", "RCVTIMEO=30000"]);
                let theirs = meet(&mut ours, implementation, (place, &address), ["receive", "SUB"], &options);
                theirs.give(&wanted);
                eventually("all topics", || ours.topic_count() == topics);
                published.iter().for_each(|frames| ours.send(message_of(frames)).unwrap());
                theirs.finish(topics);
                eventually("none, when it is gone", || ours.topic_count() == 0);
                place.count(implementation, "PUB to SUB, 1 to 10,000 topics", "ours to theirs", topics);
            }
        }
    }
}

#[test]
fn theirs_knows_all_topics_that_ours_subscribes_to() {
    for implementation in Implementation::ALL {
        for place in Place::EVERYWHERE {
            for topics in TOPICS {
                let (published, wanted) = published(topics);
                let mut ours = open::<Sub>();
                (0..topics).for_each(|number| ours.subscribe(topic(number)).unwrap());
                let address = Address::new();
                // When the last of them has arrived, all have.
                let question = format!("{}?", topic(topics - 1));
                let options = ["SNDHWM=0", &format!("TOPIC={}", topic(topics - 1))];
                let theirs = meet(&mut ours, implementation, (place, &address), ["send", "PUB"], &options);
                theirs.give(&published);
                assert_eq!(ours.recv().unwrap(), question);
                theirs.tell();
                let mut received = std::iter::repeat_with(|| ours.recv().unwrap());
                let mut first = received.find(|message| *message != question);
                for frames in &wanted {
                    let message = first.take().unwrap_or_else(|| ours.recv().unwrap());
                    assert!(message == message_of(frames), "{message:?}");
                }
                theirs.finish(published.len());
                place.count(implementation, "PUB to SUB, 1 to 10,000 topics", "theirs to ours", topics);
            }
        }
    }
}

/// Connects theirs, of these words, with ours.
fn meet<P: Pattern>(
    ours: &mut Socket<P>,
    implementation: Implementation,
    (place, address): (Place, &Address),
    [task, kind]: [&str; 2],
    options: &[&str],
) -> Theirs {
    let endpoint = match place.binds {
        Binds::We => ours.bind(place.transport.free_endpoint()).unwrap().to_string(),
        Binds::They => address.endpoint(place.transport),
    };
    let theirs =
        Theirs::start(implementation, &[&[task, kind, place.their_side(), &endpoint], options].concat());
    let at = theirs.report("at");
    if place.binds == Binds::They {
        ours.connect(&at[..]).unwrap();
    }
    theirs
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        thread::yield_now();
    }
}

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    Theirs,
}

use Whose::{Ours, Theirs as TheirOwn};

/// Publisher, the two proxies, subscriber: every chain in which ours and theirs are neighbours.
const CHAINS: [[Whose; 4]; 7] = [
    [Ours, TheirOwn, Ours, Ours],
    [Ours, Ours, TheirOwn, Ours],
    [Ours, TheirOwn, TheirOwn, Ours],
    [TheirOwn, Ours, Ours, TheirOwn],
    [TheirOwn, Ours, TheirOwn, Ours],
    [Ours, TheirOwn, Ours, TheirOwn],
    [TheirOwn, TheirOwn, Ours, TheirOwn],
];

/// A proxy: upwards an XSUB that connects, downwards an XPUB that is bound. Ends when dropped.
enum Proxy {
    Ours { context: Context, forwarding: thread::JoinHandle<()> },
    Theirs { _process: Theirs },
}

impl Proxy {
    /// Starts it below this endpoint; also returns its own.
    fn start(whose: Whose, implementation: Implementation, above: &str, own: &str) -> (Self, String) {
        if whose == TheirOwn {
            let process =
                Theirs::start(implementation, &["proxy", "XSUB", "connect", above, "XPUB", "bind", own]);
            _ = process.report("at");
            let endpoint = process.report("at");
            return (Self::Theirs { _process: process }, endpoint);
        }
        let context = Context::builder().io_threads(1).build();
        let mut upwards = builder::<XSub>(&context).open().unwrap();
        upwards.connect(above).unwrap();
        let mut downwards = builder::<XPub>(&context).open().unwrap();
        let endpoint = downwards.bind(own).unwrap().to_string();
        let forwarding = thread::spawn(move || forward(upwards, downwards));
        (Self::Ours { context, forwarding }, endpoint)
    }

    fn end(self) {
        if let Self::Ours { context, forwarding } = self {
            context.shutdown();
            forwarding.join().unwrap();
        }
    }
}

/// Passes subscriptions up and messages down until the context is shut down.
fn forward(mut upwards: Socket<XSub>, mut downwards: Socket<XPub>) {
    let mut poller = Poller::new();
    poller.add(&mut upwards, Interest::READABLE, ()).unwrap();
    poller.add(&mut downwards, Interest::READABLE, ()).unwrap();
    let mut message = Message::new();
    loop {
        let up = downwards.try_recv_into(&mut message).map(|()| upwards.send(&message));
        let down = upwards.try_recv_into(&mut message).map(|()| downwards.send(&message));
        match (up, down) {
            (Err(RecvError::WouldBlock), Err(RecvError::WouldBlock)) => {
                poller.wait(None).unwrap();
            }
            (Err(RecvError::Terminated), _) | (_, Err(RecvError::Terminated)) => return,
            _ => {}
        }
    }
}

/// Messages of which those that begin with "a" are wanted, and which.
fn some_messages() -> (Vec<Frames>, Vec<Frames>) {
    let mut random = Random(29);
    let messages: Vec<Frames> = (0..1000)
        .map(|number| {
            let topic = ["a", "b"][random.below(2)];
            let sizes = [0, 1, 255, 256, 5000, 70_000];
            let size = sizes[random.below(sizes.len())];
            vec![format!("{topic}{number}").into_bytes(), random.octets(size)]
        })
        .collect();
    let wanted = messages.iter().filter(|frames| frames[0].starts_with(b"a")).cloned().collect();
    (messages, wanted)
}

fn chain(implementation: Implementation, transport: Transport, whose: [Whose; 4]) {
    println!("{implementation:?} {transport:?} {whose:?}");
    let [publisher, first, second, subscriber] = whose;
    let (messages, wanted) = some_messages();
    let addresses = [(); 3].map(|()| Address::new());
    let [at_top, at_first, at_second] = [0, 1, 2].map(|number| addresses[number].endpoint(transport));

    let mut our_publisher = open::<Pub>();
    let their_publisher = (publisher == TheirOwn)
        .then(|| Theirs::start(implementation, &["send", "PUB", "bind", &at_top, "SNDHWM=0", "TOPIC=a"]));
    let top = match &their_publisher {
        Some(theirs) => theirs.report("at"),
        None => our_publisher.bind(&at_top[..]).unwrap().to_string(),
    };
    let (first, below_first) = Proxy::start(first, implementation, &top, &at_first);
    let (second, below_second) = Proxy::start(second, implementation, &below_first, &at_second);

    let mut our_subscriber = open::<Sub>();
    let their_subscriber = (subscriber == TheirOwn).then(|| {
        let options = ["RCVHWM=0", "RCVTIMEO=30000", "SUBSCRIBE=a", "TOPIC=a"];
        let words = [&["receive", "SUB", "connect", &below_second][..], &options].concat();
        let theirs = Theirs::start(implementation, &words);
        _ = theirs.report("at");
        theirs
    });
    match &their_subscriber {
        Some(theirs) => theirs.give(&wanted),
        None => {
            our_subscriber.subscribe("a").unwrap();
            our_subscriber.connect(&below_second[..]).unwrap();
        }
    }

    match &their_publisher {
        None => {
            our_publisher.wait_for_subscribers(1, DEADLINE).unwrap();
            messages.iter().for_each(|frames| our_publisher.send(message_of(frames)).unwrap());
        }
        Some(theirs) => {
            theirs.give(&messages);
            // Whoever hears the question has subscribed.
            match &their_subscriber {
                Some(subscriber) => assert_eq!(subscriber.report("heard"), "1"),
                None => assert_eq!(our_subscriber.recv().unwrap(), "a?"),
            }
            theirs.tell();
        }
    }

    match their_subscriber {
        Some(theirs) => theirs.finish(wanted.len()),
        None => {
            let mut received = std::iter::repeat_with(|| our_subscriber.recv().unwrap());
            let mut next = received.find(|message| *message != "a?");
            for frames in &wanted {
                let message = next.take().unwrap_or_else(|| our_subscriber.recv().unwrap());
                assert!(message == message_of(frames), "{message:?}");
            }
        }
    }
    if let Some(theirs) = their_publisher {
        theirs.finish(messages.len());
    }
    second.end();
    first.end();
    let initials: String = whose.iter().map(|whose| if *whose == Ours { 'o' } else { 't' }).collect();
    let transport = if transport == Transport::Tcp { "tcp" } else { "ipc" };
    tally::count(implementation.name(), "PUB, 2 proxies, SUB", transport, &initials, 3 * wanted.len());
}

#[test]
fn subscriptions_and_messages_go_through_two_proxies_of_either_kind() {
    for implementation in Implementation::ALL {
        for transport in [Transport::Ipc, Transport::Tcp] {
            for whose in CHAINS {
                chain(implementation, transport, whose);
            }
        }
    }
}
