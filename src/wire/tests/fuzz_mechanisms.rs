//! Seeded: what becomes of handshakes that were cut up, put together anew, or made up. P-10, C-10, C-22, C-28, C-32,
//! B-12, B-39, B-56.

use super::*;
use crate::options::PlainCredentials;

/// What one of two that shake hands does, and all that the other says to it.
fn roles() -> Vec<(Local, Vec<u8>)> {
    let credentials = PlainCredentials::new("me", "secret").unwrap();
    let pairs = [
        (Settings::PlainClient(credentials), Settings::PlainServer),
        (Settings::Null, Settings::Null),
        #[cfg(feature = "curve")]
        (curve::client(), curve::server()),
    ];
    let mut roles = Vec::new();
    for (client, server) in pairs {
        let locals = [(SocketType::Push, client), (SocketType::Pull, server)]
            .map(|(socket_type, settings)| Local { security: guarded(settings), ..local(socket_type) });
        let mut said = [Vec::new(), Vec::new()];
        // With NULL, both are asked, and wait for each other's READY.
        let _ = Pair::of(locals.clone()).record(1000, &mut said);
        let [from_client, from_server] = said;
        let [client, server] = locals;
        roles.extend([(client, from_server), (server, from_client)]);
    }
    roles
}

/// Changes a few places: bits, lengths, pieces that are gone, doubled, or from elsewhere.
fn mangle(octets: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(octets.len());
        let end = (at + random.below(80)).min(octets.len());
        match random.below(6) {
            0 if !octets.is_empty() => octets[at] ^= 1 << random.below(8),
            1 if !octets.is_empty() => octets[at] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5)],
            2 => drop(octets.drain(at..end)),
            3 => {
                let piece = octets[at..end].to_vec();
                octets.splice(at..at, piece);
            }
            4 => {
                let from = random.below(other.len());
                let to = (from + random.below(200)).min(other.len());
                octets.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                let made_up = random.below(64);
                octets.splice(at..at, random.octets(made_up));
            }
        }
    }
}

#[test]
fn mangled_handshakes_end_alike_in_every_cut() {
    // Nothing panics, nobody holds more than one command, and a connection that failed stays so: see `feed`.
    let roles = roles();
    let all: Vec<u8> = roles.iter().flat_map(|(_, heard)| heard).copied().collect();
    let mut random = Random(0xC0FFEE);
    for round in 0..3000 {
        let (local, heard) = &roles[round % roles.len()];
        let mut octets = heard.clone();
        // The greeting stays as it is in half of the rounds, or few would come further.
        let mut behind = octets.split_off(if random.below(2) == 0 { 64.min(octets.len()) } else { 0 });
        mangle(&mut behind, &all, &mut random);
        octets.extend(behind);
        let whole = feed(local.clone(), &octets, []);
        let cut = random.below(octets.len() + 1);
        assert_eq!(feed(local.clone(), &octets, [cut]), whole, "round {round}, cut at {cut}");
    }
}
