//! Octets as they go over the wire, from RFC 37's grammar and worked examples.

/// Our greeting, and that of any ZMTP 3.1 peer with the NULL mechanism.
pub const G_NULL31: [u8; 64] = greeting(3, 1, b"NULL");

/// What is said of a greeting before anything is known of the other side.
pub const SIGNATURE_OCTETS: usize = 10;

/// The greeting of a ZMTP 3.0 peer.
pub const G_NULL30: [u8; 64] = greeting(3, 0, b"NULL");

/// PING with a time to live of zero and no context.
pub const PING: &[u8] = b"\x04\x07\x04PING\0\0";

/// PONG without a context.
pub const PONG: &[u8] = b"\x04\x05\x04PONG";

/// ERROR with the reason "400".
pub const ERROR: &[u8] = b"\x04\x0a\x05ERROR\x03400";

/// What we say to a socket type that we do not talk to.
pub const REFUSAL: &[u8] = b"\x04\x18\x05ERROR\x11Wrong-Socket-Type";

/// A greeting with this version and mechanism; as-server and filler are zero. The padding is as a peer has it that
/// looks for older ones and has no routing id, which is what ours and libzmq's do.
#[must_use]
pub const fn greeting(major: u8, minor: u8, mechanism: &[u8]) -> [u8; 64] {
    let mut octets = [0; 64];
    octets[0] = 0xFF;
    octets[8] = 1;
    octets[9] = 0x7F;
    octets[10] = major;
    octets[11] = minor;
    let mut at = 0;
    while at < mechanism.len() {
        octets[12 + at] = mechanism[at];
        at += 1;
    }
    octets
}

/// A frame with these flags, in the short form if it fits.
#[must_use]
pub fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(octets) => [&[flags, octets], body].concat(),
        Err(_) => long_frame(flags, body),
    }
}

/// A frame in the long form, whatever its size.
#[must_use]
pub fn long_frame(flags: u8, body: &[u8]) -> Vec<u8> {
    [&[flags | 2], &(body.len() as u64).to_be_bytes()[..], body].concat()
}

/// A message of these frames.
#[must_use]
pub fn message<T: AsRef<[u8]>>(frames: &[T]) -> Vec<u8> {
    let last = frames.len().saturating_sub(1);
    frames.iter().enumerate().flat_map(|(at, body)| frame(u8::from(at < last), body.as_ref())).collect()
}

/// A command frame.
#[must_use]
pub fn command(name: &str, data: &[u8]) -> Vec<u8> {
    let name_octets = u8::try_from(name.len()).unwrap_or(u8::MAX);
    frame(4, &[&[name_octets], name.as_bytes(), data].concat())
}

/// PING with this context.
#[must_use]
pub fn ping(context: &[u8]) -> Vec<u8> {
    command("PING", &[&[0, 0], context].concat())
}

/// One property of a READY.
#[must_use]
pub fn property(name: &str, value: &[u8]) -> Vec<u8> {
    let name_octets = u8::try_from(name.len()).unwrap_or(u8::MAX);
    let value_octets = u32::try_from(value.len()).unwrap_or(u32::MAX);
    [&[name_octets], name.as_bytes(), &value_octets.to_be_bytes(), value].concat()
}

/// READY with these properties.
#[must_use]
pub fn ready_with(properties: &[(&str, &[u8])]) -> Vec<u8> {
    let octets: Vec<u8> = properties.iter().flat_map(|(name, value)| property(name, value)).collect();
    command("READY", &octets)
}

/// READY of a socket of this type.
#[must_use]
pub fn ready(socket_type: &str) -> Vec<u8> {
    ready_with(&[("Socket-Type", socket_type.as_bytes())])
}
