//! Implementations that share no code with libzmq, each as a process of its own: zmq.rs and OMQ, which are
//! written in Rust, and JeroMQ, which is written in Java and speaks ZMTP 2.0.
#![allow(clippy::panic, reason = "tests")]

use std::process::Command;

use interop_tests::meet::{Implementation, exchange, faults};
use interop_tests::raw::Transport::{Ipc, Tcp};

/// Its `ipc` is tcp to a port that it makes of the path, which nobody else does.
const JEROMQ: Implementation = Implementation {
    name: "jeromq",
    transports: &[Tcp],
    program: || {
        let mut java = Command::new("java");
        // Quick to start, as it is started often.
        java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp"]);
        java.args([&installed("PEERMQ_CLASSPATH"), "Peer"]);
        java
    },
};

const OMQ: Implementation =
    Implementation { name: "omq", transports: &[Tcp, Ipc], program: || rust_peer("omq") };

const ZMQ_RS: Implementation =
    Implementation { name: "zmq.rs", transports: &[Tcp, Ipc], program: || rust_peer("zmq_rs") };

fn rust_peer(name: &str) -> Command {
    Command::new(format!("{}/{name}", installed("PEERMQ_PEERS")))
}

fn installed(variable: &str) -> String {
    let Ok(value) = std::env::var(variable) else {
        panic!("{variable} is not set: run interop-tests/run-all, which builds the peers and sets it");
    };
    value
}

/// Each of these conversations is a test.
macro_rules! tests {
    ($implementation:ident: $($module:ident::$conversation:ident,)*) => {
        $(
            #[test]
            fn $conversation() {
                $module::$conversation(&$implementation);
            }
        )*
    };
}

/// What goes well with all of them.
macro_rules! common_tests {
    ($implementation:ident) => {
        tests! {
            $implementation:
            exchange::our_push_reaches_their_pull,
            exchange::their_push_reaches_our_pull,
            exchange::our_req_asks_their_rep,
            exchange::their_req_asks_our_rep,
            exchange::our_dealer_asks_their_router,
            exchange::their_dealer_asks_our_router,
            exchange::our_router_asks_their_dealer,
            exchange::their_router_asks_our_dealer,
            exchange::our_pub_reaches_their_sub,
            exchange::their_pub_reaches_our_sub,
            faults::our_push_outlives_their_pulls,
            faults::our_pull_outlives_their_pushes,
            faults::our_pub_outlives_their_subs,
            faults::our_sub_outlives_their_pubs,
            faults::our_req_outlives_their_reps,
            faults::our_rep_outlives_their_reqs,
            faults::our_dealer_outlives_their_routers,
            faults::our_router_outlives_their_dealers,
            faults::their_sub_comes_back,
            faults::held_peers_miss_nothing,
        }
    };
}

mod jeromq {
    use super::*;

    common_tests! { JEROMQ }
    tests! { JEROMQ: faults::their_push_comes_back, }
}

mod omq {
    use super::*;

    common_tests! { OMQ }
    // The only one that speaks ZMTP 3.1, which has PING.
    tests! { OMQ: faults::their_push_comes_back, faults::a_held_peer_is_noticed_by_heartbeats, }
}

mod zmq_rs {
    use super::*;

    common_tests! { ZMQ_RS }
    tests! { ZMQ_RS: faults::their_push_stays_away, }
}
