//! Reads captures: see `README.md`. Shared by two tests, in two packages.

use std::fs;
use std::path::Path;

/// A conversation of one socket with one peer.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    /// The file's name without its ending, and the line on which the conversation begins.
    pub(crate) name: String,
    pub(crate) version: (u8, u8),
    pub(crate) socket_type: String,
    pub(crate) routing_id: Vec<u8>,
    /// A client's name and password, with PLAIN.
    pub(crate) plain: Option<(String, String)>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ours(Vec<u8>),
    Peer(Vec<u8>),
    Recv(Vec<Vec<u8>>),
    Send(Vec<Vec<u8>>),
    Subscribe(Vec<u8>),
    Subscribers(usize),
    Unsubscribe(Vec<u8>),
}

/// Every conversation in this directory. `package` is where the library is, or the tests against others.
pub(crate) fn all(package: &str) -> Vec<Conversation> {
    let places = ["interop-tests/captures", "captures"].map(|place| Path::new(package).join(place));
    let directory = places.iter().find(|place| place.is_dir()).expect("the captures");
    let entries = fs::read_dir(directory).expect("readable");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    let parse = |file: &Path| {
        let name = file.file_stem().expect("a name").to_str().expect("text").to_owned();
        parse(&name, &fs::read_to_string(file).expect("readable"))
    };
    files.iter().flat_map(|file| parse(file)).collect()
}

fn parse(name: &str, text: &str) -> Vec<Conversation> {
    let version = name.split('-').nth(1).and_then(|version| version.split_once('.')).expect("zmtp-VERSION");
    let version = (version.0.parse().expect("a number"), version.1.parse().expect("a number"));
    let mut conversations: Vec<Conversation> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(verb) = words.next() else { continue };
        let place = format!("{name}:{}", number + 1);
        if verb == "socket" {
            let socket_type = words.next().expect("a type").to_owned();
            let routing_id = words.next().map(frame).unwrap_or_default();
            conversations.push(Conversation {
                name: place,
                version,
                socket_type,
                routing_id,
                plain: None,
                steps: Vec::new(),
            });
            continue;
        }
        if verb == "plain" {
            let mut texts = words.map(|word| String::from_utf8(frame(word)).expect("text"));
            let both = (texts.next().expect("a name"), texts.next().expect("a password"));
            conversations.last_mut().expect("a socket").plain = Some(both);
            continue;
        }
        let frames = || words.clone().map(frame).collect::<Vec<_>>();
        let step = match verb {
            "recv" => Step::Recv(frames()),
            "send" => Step::Send(frames()),
            "subscribe" => Step::Subscribe(frames().concat()),
            "unsubscribe" => Step::Unsubscribe(frames().concat()),
            "subscribers" => {
                Step::Subscribers(words.next().and_then(|it| it.parse().ok()).expect("a number"))
            }
            "ours" => Step::Ours(octets(words, &place)),
            "peer" => Step::Peer(octets(words, &place)),
            _ => panic!("{place}: what is {verb}?"),
        };
        conversations.last_mut().expect("a socket").steps.push(step);
    }
    conversations
}

/// Octets in hexadecimal, each of them once or so many times.
fn octets<'a>(words: impl Iterator<Item = &'a str>, place: &str) -> Vec<u8> {
    let octets = words.flat_map(|word| {
        let (octet, times) = repeated(word);
        assert_eq!(octet.len(), 2, "{place}: {word}");
        vec![u8::from_str_radix(octet, 16).expect("hexadecimal"); times]
    });
    octets.collect()
}

/// A text between quotes, once or so many times.
fn frame(word: &str) -> Vec<u8> {
    let (text, times) = repeated(word);
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect("quotes");
    text.repeat(times).into_bytes()
}

fn repeated(word: &str) -> (&str, usize) {
    match word.split_once('*') {
        Some((word, times)) => (word, times.parse().expect("a number")),
        None => (word, 1),
    }
}
