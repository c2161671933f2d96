//! Implementations that share no code with libzmq, each as a process of its own: zmq.rs and OMQ, which are
//! written in Rust.

use std::process::Command;

use interop_tests::meet::{Implementation, exchange, faults};
use interop_tests::raw::Transport::{Ipc, Tcp};

const OMQ: Implementation =
    Implementation { name: "omq", transports: &[Tcp, Ipc], program: || rust_peer("omq") };

const ZMQ_RS: Implementation =
    Implementation { name: "zmq.rs", transports: &[Tcp, Ipc], program: || rust_peer("zmq_rs") };

fn rust_peer(name: &str) -> Command {
    let Ok(directory) = std::env::var("PEERMQ_PEERS") else {
        panic!("PEERMQ_PEERS is not set: run interop-tests/run-all, which builds the peers and sets it");
    };
    Command::new(format!("{directory}/{name}"))
}

/// Each conversation is a test with each implementation.
macro_rules! conversations {
    ($($module:ident::$conversation:ident,)*) => {
        mod omq {
            $(#[test] fn $conversation() { super::$module::$conversation(&super::OMQ); })*
        }
        mod zmq_rs {
            $(#[test] fn $conversation() { super::$module::$conversation(&super::ZMQ_RS); })*
        }
    };
}

conversations! {
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
    faults::held_peers_miss_nothing,
}
