//! Keys for `--curve`: the side that binds is the server, and lets in whoever has a key.
//!
//! The same keys in every run: only what they cost is measured. libzmq has CURVE only when it was built with
//! libsodium, which `versus-curve` does.

use anyhow::{Result, ensure};
use peermq::{Authorizer, Builder, CurveKeyPair, Pattern, Security};
use zmq::Socket;

const SERVER: [u8; 32] = [2; 32];
const CLIENT: [u8; 32] = [1; 32];

/// Whether the libzmq of this program has CURVE.
///
/// # Errors
///
/// When it has not.
pub(super) fn check_libzmq() -> Result<()> {
    let has_curve = zmq::has("curve") == Some(true);
    ensure!(has_curve, "this libzmq has no CURVE: start interop-tests/versus-curve, or name other --peers");
    Ok(())
}

/// A server's builder.
pub(super) fn serve<P: Pattern>(builder: Builder<P>) -> Builder<P> {
    let keys = CurveKeyPair::from_secret_bytes(SERVER);
    builder.security(Security::CurveServer { keys }).authorizer(Authorizer::anyone())
}

/// A client's builder.
pub(super) fn ask<P: Pattern>(builder: Builder<P>) -> Builder<P> {
    let server_key = CurveKeyPair::from_secret_bytes(SERVER).public_key();
    builder.security(Security::CurveClient { keys: CurveKeyPair::from_secret_bytes(CLIENT), server_key })
}

/// Makes a socket of libzmq's a server.
pub(super) fn serve_libzmq(socket: &Socket) -> Result<()> {
    socket.set_curve_server(true)?;
    Ok(socket.set_curve_secretkey(&SERVER)?)
}

/// Makes a socket of libzmq's a client.
pub(super) fn ask_libzmq(socket: &Socket) -> Result<()> {
    let public = |secret| CurveKeyPair::from_secret_bytes(secret).public_key();
    socket.set_curve_serverkey(public(SERVER).as_bytes())?;
    socket.set_curve_publickey(public(CLIENT).as_bytes())?;
    Ok(socket.set_curve_secretkey(&CLIENT)?)
}
