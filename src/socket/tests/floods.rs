//! Peers that send what nobody wants, as fast as they can: no call of any type of socket stays with them.
//!
//! A table: type of socket × who connects × what the peers say × one peer and ten × transport and version. Each cell makes
//! every call while the flood goes on, and counts what it has done for the peers: in all, if it does not wait, else
//! between two looks at its deadline, its mail and a shutdown. Nothing is timed.
//!
//! A quick run has one cell for each type and kind, and all else by turns; with `PEERMQ_FULL` every cell is run.

use std::sync::Mutex;

use super::ends::listen;
use super::flooded::{Any, Trial};
use super::flooders::{Flood, KINDS, Kind, Script, Tongue};
use super::ledger::is_full;
use super::*;
use crate::SocketType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    ours: SocketType,
    connects: bool,
    kind: Kind,
    peers: usize,
    transport: Transport,
    tongue: Tongue,
}

/// The cells of one type and kind.
fn cells_of(ours: SocketType, kind: Kind) -> Vec<Cell> {
    let manners: &[_] = if ours == SocketType::Stream {
        &[(Transport::Tcp, Tongue::Octets)]
    } else {
        &[
            (Transport::Tcp, Tongue::Zmtp3),
            (Transport::Ipc, Tongue::Zmtp3),
            (Transport::Tcp, Tongue::Zmtp1),
            (Transport::Tcp, Tongue::Zmtp2),
        ]
    };
    let mut cells = Vec::new();
    for &(transport, tongue) in manners.iter().filter(|(_, tongue)| kind.is_in(*tongue)) {
        for (connects, peers) in [(false, 1), (true, 10), (false, 10), (true, 1)] {
            cells.push(Cell { ours, connects, kind, peers, transport, tongue });
        }
    }
    cells
}

/// The cells of these kinds that are run.
fn cells(kinds: impl Fn(Kind) -> bool, is_full: bool) -> Vec<Cell> {
    let mut chosen = Vec::new();
    for (turn, &ours) in SocketType::ALL.iter().enumerate() {
        let kinds = KINDS.iter().copied().filter(|kind| kinds(*kind));
        for (at, cells) in kinds.map(|kind| cells_of(ours, kind)).filter(|it| !it.is_empty()).enumerate() {
            match is_full {
                true => chosen.extend(cells),
                // Five is prime to the number of cells, so that these differ from each other in everything.
                false => chosen.push(cells[5 * (turn + at) % cells.len()]),
            }
        }
    }
    chosen
}

#[test]
fn the_quick_table_has_each_pair() {
    let table = |is_full| [cells(Kind::is_brief, is_full), cells(|kind| !kind.is_brief(), is_full)].concat();
    let (all, quick) = (table(true), table(false));
    assert!(quick.len() < all.len() / 8, "{} of {}", quick.len(), all.len());
    let aspects: [fn(&Cell, &Cell) -> bool; 4] = [
        |a, b| a.kind == b.kind,
        |a, b| a.connects == b.connects,
        |a, b| a.peers == b.peers,
        |a, b| (a.transport, a.tongue) == (b.transport, b.tongue),
    ];
    for cell in &all {
        for (number, is_same) in aspects.iter().enumerate() {
            let is_there = |it: &Cell| it.ours == cell.ours && is_same(it, cell);
            assert!(quick.iter().any(is_there), "{cell:?}, {number}");
        }
    }
}

fn open(place: &Place, cell: &Cell) -> Any {
    let builder = place.context.builder_for_any(cell.ours).linger(Linger::DISCARD);
    let mut builder = builder.reconnect_interval(TURN);
    if cell.ours == SocketType::Req {
        builder = builder.req_relaxed(true).req_correlate(true);
    }
    let mut socket = builder.open().unwrap();
    if cell.ours == SocketType::Sub {
        socket.subscribe("wanted").unwrap();
    }
    socket
}

/// Floods a socket, and makes all calls.
fn run(number: usize, cell: Cell) {
    let place = Place::new(cell.transport);
    let mut socket = open(&place, &cell);
    let script = Script::new(cell.ours, cell.kind, cell.tongue);
    let flood = if cell.connects {
        let endpoints: Vec<_> = (0..cell.peers).map(|_| place.address()).collect();
        let listeners = endpoints.iter().map(listen).collect();
        // A PAIR takes one.
        endpoints.iter().for_each(|endpoint| drop(socket.connect(endpoint)));
        Flood::from(listeners, &script)
    } else {
        let endpoint = socket.bind(place.address()).unwrap().into();
        Flood::to(&endpoint, cell.peers, &script)
    };
    let peers = if cell.ours == SocketType::Pair { 1 } else { cell.peers };
    let mut wait = |what, is_so: &dyn Fn(&Any) -> bool| {
        eventually(what, || {
            let _ = (socket.try_send("settling"), socket.try_recv());
            is_so(&socket)
        });
    };
    wait("all have come", &|socket| match cell.kind.is_brief() {
        true => flood.met() >= peers as u64,
        false => socket.peers().len() >= peers,
    });
    flood.begin();
    wait("they flood it", &|_| flood.heard() >= peers as u64);
    let now = Mutex::new(String::new());
    let trial = Trial { ours: cell.ours, cell: format!("{cell:?}"), flood: &flood, now: &now, known: None };
    // With a shutdown, and without one.
    let context = number.is_multiple_of(2).then_some(&place.context);
    flood.during(&now, || trial.make_calls(socket, context));
}

fn run_all(kinds: impl Fn(Kind) -> bool) {
    for (number, cell) in cells(kinds, is_full()).into_iter().enumerate() {
        run(number, cell);
    }
}

#[test]
fn no_call_stays_with_those_who_flood() {
    run_all(|kind| !kind.is_brief());
}

#[test]
fn no_call_stays_with_those_who_come_again_and_again() {
    run_all(Kind::is_brief);
}
