//! Every option with its smallest and largest values: nothing panics, and sockets work.

use super::*;
use crate::options::{
    AddressRanges, Authorizer, Backlog, BatchSize, DeviceName, FixedMessage, HandshakeInterval,
    HandshakesMax, HeartbeatInterval, HeartbeatTimeout, HeartbeatTtl, Hwm, HwmOctets, IoAffinity,
    KeepaliveProbes, KernelBuffer, KernelTime, MaxMessageSize, Metadata, ReconnectInterval,
    ReconnectIntervalMax, ReconnectStop, RouterNotify, Security, SocksProxy, TcpKeepalive, Timeout,
    WelcomeMessage, ZapDomain, for_each_option,
};
use crate::{AnyPattern, Options, RoutingId, SocketType};

/// The least, the most, and what stands for none and for ever. Nothing for values that are no quantities.
trait Extremes: Sized {
    fn extremes() -> Vec<Self>;
}

const TIMES: [Duration; 3] = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
const MOST: u32 = i32::MAX.unsigned_abs();

macro_rules! extremes {
    ($($value:ty: $extremes:expr;)*) => {
        $(impl Extremes for $value {
            fn extremes() -> Vec<Self> {
                Vec::from($extremes)
            }
        })*
    };
}

extremes! {
    bool: [];
    u8: [0, u8::MAX];
    u32: [0, 6];
    AddressRanges: [];
    Authorizer: [];
    Backlog: [0, MOST].map(|it| Backlog::connections(it).unwrap());
    BatchSize: [1, MOST].map(|it| BatchSize::octets(it).unwrap());
    DeviceName: [];
    FixedMessage: [];
    HandshakeInterval: TIMES.map(Self::from);
    HandshakesMax: [1, u32::MAX, 0].map(Self::from);
    HeartbeatInterval: TIMES.map(Self::from);
    HeartbeatTimeout: TIMES.map(Self::from);
    HeartbeatTtl: [0, 100, 6_553_599].map(|it| HeartbeatTtl::after(Duration::from_millis(it)).unwrap());
    Hwm: [1, u32::MAX, 0].map(Self::from);
    HwmOctets: [1, u64::MAX, 0].map(Self::from);
    IoAffinity: [0, 1, 1 << 63, u64::MAX].map(Self::from_mask);
    KeepaliveProbes: [0, 1, u8::MAX].map(Self::from);
    KernelBuffer: [0, MOST].map(|it| KernelBuffer::octets(it).unwrap());
    KernelTime: TIMES.map(Self::from);
    Linger: [TIMES.map(Self::from).to_vec(), vec![Self::Forever]].concat();
    MaxMessageSize: [0, u64::MAX].map(Self::from);
    Metadata: [];
    ReconnectInterval: [TIMES.map(Self::from).to_vec(), vec![Self::Never]].concat();
    ReconnectIntervalMax: TIMES.map(Self::from);
    ReconnectStop: [];
    RouterNotify: [];
    RoutingId: [1, 255].map(|octets| Self::from_peer(&vec![7; octets]));
    Security: [];
    SocksProxy: [];
    TcpKeepalive: [TcpKeepalive::Off, TcpKeepalive::On];
    Timeout: [TIMES.map(Self::from).to_vec(), vec![Self::Never]].concat();
    WelcomeMessage: [];
    ZapDomain: [];
}

/// One option, and one of its values.
struct Case {
    option: &'static str,
    value: String,
    set: Box<dyn Fn(Builder<AnyPattern>) -> Builder<AnyPattern>>,
}

/// All of them.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    macro_rules! cases {
        ($(
            $(#[doc = $doc:literal])+
            $name:ident: $value:ty = $default:expr, code $code:literal, when $when:ident
            $(, only [$($socket_type:ident),+])?;
        )*) => {
            $(cases.extend(<$value>::extremes().into_iter().map(|value| {
                let (option, text) = (stringify!($name), value.to_string());
                Case { option, value: text, set: Box::new(move |builder| builder.$name(value.clone())) }
            }));)*
        };
    }
    for_each_option!(cases);
    cases
}

/// Who sends and who receives; at least one of them has this option.
fn pair(option: &str) -> (SocketType, SocketType) {
    let row = Options::TABLE.iter().find(|row| row.name == option).unwrap();
    match row.only.first() {
        None => (SocketType::Push, SocketType::Pull),
        Some(_) => (SocketType::Dealer, SocketType::Router),
    }
}

fn open(context: &Context, socket_type: SocketType, case: &Case) -> Socket<AnyPattern> {
    let row = Options::TABLE.iter().find(|row| row.name == case.option).unwrap();
    let has_it = row.only.is_empty() || row.only.contains(&socket_type);
    let mut builder = context.builder_for_any(socket_type);
    if case.option.starts_with("tcp_keepalive_") {
        builder = builder.tcp_keepalive(true);
    }
    if case.option.starts_with("heartbeat_t") {
        builder = builder.heartbeat_interval(TURN);
    }
    if has_it {
        builder = (case.set)(builder);
    }
    builder.open().unwrap()
}

/// Binds, connects, sends one message, and closes.
fn works(context: &Context, case: &Case) {
    let what = format!("{} = {}", case.option, case.value);
    let (sender, receiver) = pair(case.option);
    let (mut sender, mut receiver) = (open(context, sender, case), open(context, receiver, case));
    let bound = receiver.bind("tcp://127.0.0.1:0").unwrap();
    let connection = sender.connect(&bound).unwrap();
    // Nobody shakes hands, or answers, within a nanosecond.
    let is_too_short =
        ["handshake_interval", "heartbeat_timeout"].contains(&case.option) && case.value == "1ns";
    eventually(&what, || {
        let _ = sender.send_timeout("", Duration::ZERO);
        receiver.try_recv().is_ok() || is_too_short && connection.last_error().is_some()
    });
    assert!(!connection.state().is_final(), "{what}");
    sender.close(if is_too_short { Duration::ZERO } else { Duration::MAX });
    receiver.close(Duration::ZERO);
}

#[test]
fn every_option_works_with_its_least_and_its_greatest_value() {
    // Busy polling needs a privilege.
    let context = Context::new();
    let cases = cases();
    assert!(cases.len() > 80, "{}", cases.len());
    for case in cases.iter().filter(|case| case.option != "busy_poll") {
        works(&context, case);
    }
}

#[test]
fn a_connection_that_may_wait_for_ever_waits() {
    // nothing listens there, and the pause is longer than the clock goes.
    let place = Place::new(Transport::Tcp);
    for most in [Duration::ZERO, Duration::MAX] {
        let pause = if most.is_zero() { Duration::MAX } else { TURN };
        let builder = place.builder::<Push>().reconnect_interval(pause).reconnect_interval_max(most);
        let mut push = builder.open().unwrap();
        let connection = push.connect(place.address()).unwrap();
        eventually("it is refused", || connection.last_error().is_some());
        assert!(!connection.state().is_final());
        connection.disconnect();
    }
}

#[test]
fn calls_may_wait_for_ever() {
    let place = Place::new(Transport::Tcp);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let mut push: Socket<Push> = place.open();
    push.connect(&endpoint).unwrap().wait_ready(Duration::MAX).unwrap();
    push.send_timeout("once", Duration::MAX).unwrap();
    assert_eq!(pull.recv_timeout(Duration::MAX).unwrap(), "once");
    push.send_timeout("twice", Duration::MAX).unwrap();
    push.close(Duration::MAX);
    assert_eq!(pull.recv_timeout(Duration::MAX).unwrap(), "twice");
}
