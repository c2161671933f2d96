//! PLAIN, CURVE and ZAP with libzmq and pyzmq, in both roles, on both bind sides, over tcp and ipc. The libzmq that
//! the crate `zmq` builds has no CURVE; pyzmq's has, with libsodium. P-03 to P-09, C-04 to C-38, A-01 to A-16.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, message_of};
use interop_tests::theirs::{Address, Binds, Frames, Implementation, Place, Theirs};
use peermq::{
    AnyPattern, AuthStatus, Authorizer, Builder, Candidate, Connection, ConnectionError, Context,
    CurveKeyPair, Decision, NotReadyKind, PlainCredentials, ProtocolError, Reason, ReconnectInterval,
    Security, Socket, SocketType,
};

use SocketType as T;

/// What both sides need to know of each other.
struct Secrets {
    keys: [CurveKeyPair; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    Curve,
    Plain,
}

/// Which side is the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serves {
    We,
    They,
}

use Mechanism::{Curve, Plain};

impl Secrets {
    fn new() -> Self {
        Self { keys: [(); 2].map(|()| CurveKeyPair::generate().unwrap()) }
    }

    fn ours(&self, mechanism: Mechanism, serves: Serves) -> Security {
        let [keys, theirs] = self.keys.clone();
        match (mechanism, serves) {
            (Curve, Serves::We) => Security::CurveServer { keys },
            (Curve, Serves::They) => Security::CurveClient { keys, server_key: theirs.public_key() },
            (Plain, Serves::We) => Security::PlainServer,
            (Plain, Serves::They) => {
                Security::PlainClient(PlainCredentials::new("alice", "opensesame").unwrap())
            }
        }
    }

    fn theirs(&self, mechanism: Mechanism, serves: Serves) -> Vec<String> {
        let [ours, keys] = &self.keys;
        match (mechanism, serves) {
            (Curve, Serves::We) => vec![
                format!("CURVE_PUBLICKEY={}", keys.public_key()),
                format!("CURVE_SECRETKEY={}", *keys.secret_text()),
                format!("CURVE_SERVERKEY={}", ours.public_key()),
            ],
            (Curve, Serves::They) => {
                vec!["CURVE_SERVER=1".into(), format!("CURVE_SECRETKEY={}", *keys.secret_text())]
            }
            (Plain, Serves::We) => vec!["PLAIN_USERNAME=alice".into(), "PLAIN_PASSWORD=opensesame".into()],
            (Plain, Serves::They) => vec!["PLAIN_SERVER=1".into()],
        }
    }
}

fn builder(kind: T) -> Builder<AnyPattern> {
    let context = Context::builder().io_threads(1).build();
    let builder = context.builder_for_any(kind).send_timeout(DEADLINE).recv_timeout(DEADLINE);
    builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5)))
}

/// Who they are, what they speak, and where.
#[derive(Clone, Copy, Debug)]
struct Meeting {
    theirs: Implementation,
    mechanism: Mechanism,
    serves: Serves,
    place: Place,
}

/// A socket of each.
struct Met {
    ours: Socket<AnyPattern>,
    theirs: Theirs,
    /// If ours has connected.
    connection: Option<Connection>,
    _address: Address,
}

/// Everything that is there: CURVE is not in the libzmq of the crate.
fn meetings() -> impl Iterator<Item = Meeting> {
    let all = Implementation::ALL.into_iter().flat_map(|theirs| {
        [Curve, Plain].into_iter().flat_map(move |mechanism| {
            [Serves::We, Serves::They].into_iter().flat_map(move |serves| {
                Place::EVERYWHERE.into_iter().map(move |place| Meeting { theirs, mechanism, serves, place })
            })
        })
    });
    all.filter(|meeting| (meeting.theirs, meeting.mechanism) != (Implementation::Libzmq, Curve))
}

impl Meeting {
    /// A socket of each, connected; ours knows whom to let in.
    fn meet(self, ours: Builder<AnyPattern>, (kind, task): (T, &str), options: &[&str]) -> Met {
        let secrets = Secrets::new();
        let [_, their_keys] = &secrets.keys;
        let their_key = their_keys.public_key();
        let authorizer = Authorizer::new(move |candidate: &Candidate| {
            let knows_password = candidate.plain().is_some_and(|it| it.password() == b"opensesame");
            if knows_password || candidate.public_key() == Some(their_key) {
                Decision::allow_as("alice")
            } else {
                Decision::refuse()
            }
        });
        let builder = ours.security(secrets.ours(self.mechanism, self.serves)).authorizer(authorizer);
        let mut ours = builder.open().unwrap();
        let address = Address::new();
        let endpoint = match self.place.binds {
            Binds::We => ours.bind(self.place.transport.free_endpoint()).unwrap().to_string(),
            Binds::They => address.endpoint(self.place.transport),
        };
        let secrets = secrets.theirs(self.mechanism, self.serves);
        let mut words = vec![task, kind.name(), self.place.their_side(), &endpoint[..]];
        words.extend(["RCVTIMEO=30000", "SNDTIMEO=30000"]);
        words.extend(secrets.iter().map(String::as_str));
        words.extend(options);
        let theirs = Theirs::start(self.theirs, &words);
        let at = theirs.report("at");
        let connection = (self.place.binds == Binds::They).then(|| ours.connect(&at[..]).unwrap());
        Met { ours, theirs, connection, _address: address }
    }

    /// What a server of theirs needs: a handler that lets everybody in.
    fn handler(self) -> &'static [&'static str] {
        if self.serves == Serves::They { &["ZAP=200", "ZAP_DOMAIN=global"] } else { &[] }
    }

    fn count(self, pattern: &str, direction: &str, messages: usize) {
        let name = if self.mechanism == Curve { "CURVE" } else { "PLAIN" };
        self.place.count(self.theirs, &format!("{pattern} {name}"), direction, messages);
    }
}

/// Frames of every size that changes something, and many.
fn messages() -> Vec<Frames> {
    let mut random = Random(26);
    let sizes = [0, 1, 220, 221, 222, 223, 254, 255, 256, 8191, 8192, 65_535, 65_536, 1 << 20];
    let mut messages: Vec<Frames> = sizes.map(|size| vec![random.octets(size)]).to_vec();
    messages.push(sizes.map(|size| random.octets(size)).to_vec());
    messages.push((0..300).map(|part| random.octets(part)).collect());
    for number in 0..200 {
        let octets = random.below(600);
        messages.push(vec![format!("{number}").into_bytes(), random.octets(octets)]);
    }
    messages
}

#[test]
fn they_answer_ours() {
    for meeting in meetings() {
        println!("{meeting:?}");
        let mut met = meeting.meet(builder(T::Dealer), (T::Dealer, "echo"), meeting.handler());
        if let Some(connection) = &met.connection {
            assert_eq!(connection.wait_ready(DEADLINE), Ok(()));
        }
        let ours = &mut met.ours;
        let messages = messages();
        for frames in &messages {
            ours.send(message_of(frames)).unwrap();
        }
        for frames in &messages {
            assert!(ours.recv().unwrap() == message_of(frames), "{} parts", frames.len());
        }
        if meeting.serves == Serves::We {
            assert_eq!(ours.peers()[0].user_id(), Some("alice"));
        }
        meeting.count("DEALER asks DEALER", "ours ask", 2 * messages.len());
    }
}

#[test]
fn ours_answer_them() {
    for meeting in meetings() {
        println!("{meeting:?}");
        let Met { mut ours, theirs, _address, .. } =
            meeting.meet(builder(T::Rep), (T::Req, "ask"), meeting.handler());
        let messages = messages();
        theirs.give(&messages);
        for frames in &messages {
            let message = ours.recv().unwrap();
            assert!(message == message_of(frames), "{} parts", frames.len());
            ours.send(message).unwrap();
        }
        meeting.count("REQ asks REP", "theirs ask", 2 * messages.len());
    }
}

#[test]
fn subscriptions_are_understood_on_both_sides() {
    // D16: commands inside of boxes, with heartbeats beside them.
    for meeting in meetings() {
        println!("{meeting:?}");
        let options =
            [meeting.handler(), &["SUBSCRIBE=a", "HEARTBEAT_IVL=5", "HEARTBEAT_TIMEOUT=30000"]].concat();
        let Met { mut ours, theirs, _address, .. } =
            meeting.meet(builder(T::Pub), (T::Sub, "receive"), &options);
        let wanted: Vec<Frames> = (0..100).map(|number| vec![format!("a{number}").into_bytes()]).collect();
        theirs.give(&wanted);
        ours.wait_for_subscribers(1, DEADLINE).unwrap();
        for frames in &wanted {
            ours.send("b").unwrap();
            ours.send(message_of(frames)).unwrap();
        }
        assert_eq!(theirs.report("sent"), "100");
        let options = [meeting.handler(), &["TOPIC=a"]].concat();
        let ours = builder(T::Sub).heartbeat_interval(Duration::from_millis(5)).heartbeat_timeout(DEADLINE);
        let Met { mut ours, theirs, _address, .. } = meeting.meet(ours, (T::Pub, "send"), &options);
        theirs.give(&[vec![b"b".to_vec()], vec![b"a1".to_vec()]]);
        ours.subscribe("a").unwrap();
        assert_eq!(ours.recv().unwrap(), "a?");
        theirs.tell();
        while ours.recv().unwrap() != "a1" {}
        meeting.count("PUB to SUB", "both", 102);
    }
}

#[test]
fn what_their_handler_says_is_what_we_are_told() {
    // A-12, C-02, C-03, C-29, D4
    for meeting in meetings().filter(|it| it.serves == Serves::They && it.place.binds == Binds::They) {
        for (option, status) in
            [("ZAP=300", None), ("ZAP=400", Some(AuthStatus::Refused)), ("ZAP=500", Some(AuthStatus::Failed))]
        {
            println!("{meeting:?} {option}");
            let options = [option, "ZAP_DOMAIN=global"];
            let met = meeting.meet(builder(T::Dealer), (T::Dealer, "echo"), &options);
            let connection = met.connection.as_ref().unwrap();
            match status {
                Some(status) => {
                    let error = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(status));
                    assert_eq!(
                        connection.wait_ready(DEADLINE).map_err(|error| error.kind()),
                        Err(NotReadyKind::Failed(error))
                    );
                }
                None => {
                    let waited = connection.wait_ready(Duration::from_millis(300));
                    assert!(
                        waited.as_ref().is_err_and(|error| matches!(error.kind(), NotReadyKind::TimedOut(_))),
                        "{waited:?}"
                    );
                    assert!(!connection.state().is_final());
                }
            }
        }
    }
}

#[test]
fn pyzmqs_authenticator_lets_in_whom_it_knows() {
    //
    let secrets = Secrets::new();
    let [ours, theirs] = &secrets.keys;
    let cases = [
        (Plain, "PASSWORD=alice:opensesame".to_owned(), true),
        (Plain, "PASSWORD=alice:another".to_owned(), false),
        (Curve, "ALLOW=any".to_owned(), true),
        (Curve, format!("ALLOW={}", ours.public_key()), true),
        (Curve, format!("ALLOW={}", theirs.public_key()), false),
    ];
    for (mechanism, allowed, is_let_in) in cases {
        println!("{mechanism:?} {allowed}");
        let address = Address::new();
        let endpoint = address.endpoint(interop_tests::raw::Transport::Tcp);
        let options = secrets.theirs(mechanism, Serves::They);
        let mut words = vec!["echo", "DEALER", "bind", &endpoint[..], &allowed, "ZAP_DOMAIN=global"];
        words.extend(options.iter().map(String::as_str));
        let theirs = Theirs::start(Implementation::Pyzmq, &words);
        let at = theirs.report("at");
        let mut ours = builder(T::Dealer).security(secrets.ours(mechanism, Serves::They)).open().unwrap();
        let connection = ours.connect(&at[..]).unwrap();
        if is_let_in {
            ours.send("hello").unwrap();
            assert_eq!(ours.recv().unwrap(), "hello");
        } else {
            let error = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(AuthStatus::Refused));
            assert_eq!(
                connection.wait_ready(DEADLINE).map_err(|error| error.kind()),
                Err(NotReadyKind::Failed(error))
            );
        }
    }
}

#[test]
fn a_server_without_a_handler_is_open_with_curve_there_and_closed_here() {
    // libzmq asks nobody when there is no domain; ours was told of nobody.
    let meeting = |serves| meetings().find(|it| it.mechanism == Curve && it.serves == serves).unwrap();
    let mut met = meeting(Serves::They).meet(builder(T::Dealer), (T::Dealer, "echo"), &[]);
    let ours = &mut met.ours;
    ours.send("hello").unwrap();
    assert_eq!(ours.recv().unwrap(), "hello");
}

#[test]
fn whom_ours_refuse_never_gets_in() {
    // C-29, P-05: by every status, and whatever they try.
    for meeting in meetings().filter(|it| it.serves == Serves::We && it.place.binds == Binds::We) {
        for status in [AuthStatus::NotNow, AuthStatus::Refused, AuthStatus::Failed] {
            println!("{meeting:?} {status:?}");
            let secrets = Secrets::new();
            let (asked, asks) = std::sync::mpsc::channel();
            let authorizer = Authorizer::new(move |_: &Candidate| {
                // Who is not heard any more is not there any more.
                _ = asked.send(());
                Decision::Refuse(status, Reason::NONE)
            });
            let ours = builder(T::Rep).security(secrets.ours(meeting.mechanism, Serves::We));
            let mut ours = ours.authorizer(authorizer).open().unwrap();
            let endpoint = ours.bind(meeting.place.transport.free_endpoint()).unwrap().to_string();
            let options = secrets.theirs(meeting.mechanism, Serves::We);
            let mut words = vec!["ask", "REQ", "connect", &endpoint[..], "RECONNECT_IVL=5"];
            words.extend(options.iter().map(String::as_str));
            let theirs = Theirs::start(meeting.theirs, &words);
            let _ = theirs.report("at");
            theirs.give(&[vec![b"let me in".to_vec()]]);
            asks.recv_timeout(DEADLINE).unwrap();
            assert!(ours.recv_timeout(Duration::from_millis(50)).is_err() && ours.peers().is_empty());
        }
    }
}
