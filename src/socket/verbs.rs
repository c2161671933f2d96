//! What a socket is told to do, by which verb of its pattern.
#![forbid(unsafe_code)]

use crate::error::{RecvError, SendError};
use crate::message::Payload;
use crate::pipe::Pipes;

/// How a pattern sends: [`Strategy::try_send`](crate::patterns::Strategy::try_send), or a verb that only its type of socket has.
pub(super) trait SendVerb<P>:
    FnMut(&mut P, &mut Pipes, &mut Payload<'_>) -> Result<(), SendError>
{
}

impl<P, F: FnMut(&mut P, &mut Pipes, &mut Payload<'_>) -> Result<(), SendError>> SendVerb<P> for F {}

/// How a pattern receives: [`Strategy::try_recv`](crate::patterns::Strategy::try_recv), or a verb that only its type of socket has.
pub(super) trait RecvVerb<P>: FnMut(&mut P, &mut Pipes) -> Result<(), RecvError> {}

impl<P, F: FnMut(&mut P, &mut Pipes) -> Result<(), RecvError>> RecvVerb<P> for F {}
