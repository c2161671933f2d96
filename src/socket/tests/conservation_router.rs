//! The law of conservation where peers have names, and where requests are answered.

use super::conservation::{OCTETS, attend, conserve, narrow, until_peers};
use super::ledger::{Figures, Ledger};
use super::*;
use crate::{Dealer, Rep, Req, Router, RoutingId};

const STEPS: usize = 80;

struct Client {
    socket: Socket<Dealer>,
    id: u32,
}

/// The client's name.
fn name(id: u32) -> RoutingId {
    RoutingId::new(format!("client {id}")).unwrap()
}

/// A ROUTER sends to names, of clients that are here, and that are not.
fn router_sends(place: &Place, seed: u64) -> Figures {
    let (mut ledger, mut dice) = (Ledger::new(seed), Dice(seed * 0x9E37_79B9));
    let mut router: Socket<Router> = narrow(place).open().unwrap();
    let endpoint = router.bind(place.address()).unwrap();
    let mut clients: Vec<Client> = Vec::new();
    let (mut came, mut cut_at_most) = (0, 0);
    for step in 0..STEPS {
        match dice.roll(8) {
            0 | 1 if clients.len() < 5 => {
                came += 1;
                let mut socket: Socket<Dealer> = narrow(place).routing_id(name(came)).open().unwrap();
                socket.connect(&endpoint).unwrap();
                clients.push(Client { socket, id: came });
                until_peers(&mut router, clients.len(), clients.len());
            }
            2 if !clients.is_empty() && step > STEPS / 4 => {
                cut_at_most += ledger.missing();
                let Client { socket, .. } = clients.swap_remove(dice.roll(clients.len()));
                ledger.figures.unreceived += socket.close(Duration::ZERO).unreceived;
                ledger.figures.left += 1;
                until_peers(&mut router, clients.len(), clients.len());
            }
            3 | 4 => {
                let to = u32::try_from(1 + dice.roll(came as usize + 2)).unwrap();
                for _ in 0..dice.roll(60) {
                    // Never refused: what finds no peer or no room is dropped, and counted.
                    router.send_to(&name(to), ledger.next(to, dice.roll(OCTETS))).unwrap();
                    ledger.accepted(to, 1);
                }
            }
            _ if clients.is_empty() => {}
            _ => {
                let at = dice.roll(clients.len());
                let Client { socket, id } = &mut clients[at];
                for _ in 0..dice.roll(40) {
                    let Ok(message) = socket.try_recv() else { break };
                    assert_eq!(ledger.delivered(*id, &message).0, *id, "seed {seed}: for somebody else");
                }
            }
        }
        let total = router.stats().total;
        let sent = total.sent.messages + total.dropped.full + total.dropped.unroutable;
        assert_eq!(sent, ledger.figures.accepted, "seed {seed}");
    }
    let mut receive_all = |ledger: &mut Ledger| {
        for Client { socket, id } in &mut clients {
            while let Ok(message) = socket.try_recv() {
                assert_eq!(ledger.delivered(*id, &message).0, *id, "seed {seed}: for somebody else");
            }
        }
        clients.iter().all(|client| client.socket.peers().is_empty())
    };
    eventually("nothing is queued", || {
        receive_all(&mut ledger);
        attend(&mut router);
        router.outgoing().queued == 0
    });
    let total = router.stats().total;
    let (outgoing, dropped) = (total.outgoing, total.dropped);
    assert_eq!((router.close(PATIENCE).dropped, dropped.malformed), (0, 0));
    eventually("the router is gone", || receive_all(&mut ledger));
    receive_all(&mut ledger);
    let figures = &mut ledger.figures;
    figures.came = came.into();
    figures.dropped = dropped.full + dropped.unroutable;
    figures.lost = outgoing.lost;
    figures.cut = outgoing.handed_over - figures.delivered - figures.unreceived;
    assert!(figures.cut <= if place.transport == Transport::Inproc { 0 } else { cut_at_most }, "seed {seed}");
    *figures
}

#[test]
fn router_conserves_while_its_peers_come_and_go() {
    conserve("ROUTER", 6, router_sends);
}

struct Asker {
    socket: Socket<Req>,
    id: u32,
}

/// Hears a question, if there is one, and answers nothing.
fn hear_one(rep: &mut Socket<Rep>, questions: &mut Ledger) -> u64 {
    let Ok(request) = rep.try_recv() else { return 0 };
    questions.delivered(0, request.message());
    1
}

/// Clients ask, leave with their questions open, and take answers; a REP answers what it hears.
///
/// The figures are those of the questions and of the answers together.
fn rep_answers(place: &Place, seed: u64) -> Figures {
    let (mut questions, mut answers) = (Ledger::new(seed), Ledger::new(seed));
    let mut dice = Dice(seed * 0x9E37_79B9);
    let mut rep: Socket<Rep> = narrow(place).open().unwrap();
    let endpoint = rep.bind(place.address()).unwrap();
    let (mut came, mut left, mut unheard, mut untaken) = (0, 0, 0, 0);
    let mut asked = Figures::default();
    for _ in 0..STEPS / 4 {
        // Some come, and all ask.
        let mut askers: Vec<Asker> = (0..=dice.roll(4))
            .map(|_| {
                came += 1;
                let mut socket: Socket<Req> = narrow(place).open().unwrap();
                socket.connect(&endpoint).unwrap();
                Asker { socket, id: came }
            })
            .collect();
        eventually("all have come", || {
            // A client that gives a question up is connected again at once, and may leave only then.
            unheard -= hear_one(&mut rep, &mut questions);
            rep.peers().len() == askers.len() && rep.core.pipes.iter().count() == askers.len()
        });
        for _ in 0..dice.roll(8) {
            let octets = dice.roll(OCTETS);
            let (mut open, mut gone) = (Vec::new(), Vec::new());
            for Asker { socket, id } in &mut askers {
                let question = questions.next(*id, octets);
                open.push((socket.try_request(question).unwrap(), *id));
                questions.accepted(*id, 1);
            }
            for _ in 0..open.len() {
                let request = rep.recv_timeout(PATIENCE).unwrap();
                let (id, _) = questions.delivered(0, request.message());
                if dice.roll(4) == 0 {
                    // Without an answer, this one has to be forgotten by who asked, too.
                    gone.push(id);
                    continue;
                }
                let answer = answers.next(id, octets);
                request.reply(answer).unwrap();
                answers.accepted(id, 1);
            }
            for (mut reply, id) in open {
                if gone.contains(&id) {
                    std::mem::forget(reply); // still waits, when its client leaves
                    continue;
                }
                let answer = reply.recv_timeout(PATIENCE).unwrap();
                assert_eq!(answers.delivered(id, &answer).0, id, "seed {seed}: somebody else's answer");
            }
            if !gone.is_empty() {
                break;
            }
        }
        // Some ask once more, and leave at once, before or after they were heard and answered.
        for Asker { mut socket, id } in askers {
            left += 1;
            if socket.try_request(questions.next(id, 10)).is_ok() {
                questions.accepted(id, 1);
                unheard += 1;
                if dice.roll(2) == 0 {
                    if let Ok(request) = rep.try_recv() {
                        let (from, _) = questions.delivered(0, request.message());
                        unheard -= 1;
                        request.reply(answers.next(from, 10)).unwrap();
                        answers.accepted(from, 1);
                        untaken += 1;
                    }
                }
            }
            let report = socket.outgoing();
            assert_eq!(report.lost + report.queued + report.handed_over, report.accepted());
            drop(socket);
        }
        eventually("all of them are gone", || {
            unheard -= hear_one(&mut rep, &mut questions);
            rep.peers().is_empty() && rep.core.pipes.iter().count() == 0
        });
    }
    let total = rep.stats().total;
    let (outgoing, dropped) = (total.outgoing, total.dropped);
    assert_eq!(total.received.messages, questions.figures.delivered + dropped.malformed);
    assert_eq!(
        outgoing.accepted() + dropped.full + dropped.unroutable,
        answers.figures.accepted,
        "seed {seed}"
    );
    asked.runs = 1;
    asked.came = came.into();
    asked.left = left;
    asked.accepted = questions.figures.accepted + answers.figures.accepted;
    asked.delivered = questions.figures.delivered + answers.figures.delivered;
    asked.dropped = dropped.full + dropped.unroutable;
    asked.lost = outgoing.lost;
    asked.cut = unheard + (outgoing.handed_over - answers.figures.delivered);
    assert!(
        asked.cut <= if place.transport == Transport::Inproc { 0 } else { unheard + untaken },
        "seed {seed}"
    );
    asked
}

#[test]
fn rep_conserves_while_clients_come_and_go() {
    conserve("REQ and REP", 6, rep_answers);
}
