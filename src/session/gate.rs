//! The gate: who decides whether a peer may come in, and what was decided.
//!
//! The application's authorizer answers at once; a ZAP handler later, from its own thread. Whoever is asked in vain
//! is not waited for: the handshake's deadline goes on. Source: RFC 27/ZAP.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::error::{AuthStatus, Reason};
use crate::options::{Candidate, Decision, Options};
use crate::session::link::Link;
use crate::transport::Stream;
use crate::wire::Question;

/// Who is asked beside the authorizer, and answers later through [`Link::decide`].
pub(crate) trait Doorkeeper: Send + Sync + std::fmt::Debug {
    /// Asks. `false`: there will be no answer.
    fn ask(&self, inquiry: Inquiry) -> bool;
}

/// A question for a doorkeeper.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(crate) candidate: Candidate,
    /// The number of the question.
    pub(crate) number: u64,
    pub(crate) link: Arc<Link>,
}

/// Whether somebody has to be asked about peers, whatever the mechanism.
pub(super) fn has_judge(options: &Options) -> bool {
    !options.authorizer.is_none() || options.zap_domain.name().is_some()
}

/// Decides, or asks whoever does. `Err`: the number of the question to which the answer will come.
pub(super) fn decide(question: &Question, stream: &Stream, link: &Link) -> Result<Decision, u64> {
    let owner = link.owner();
    let candidate = Candidate {
        endpoint: link.whereabouts(stream),
        credentials: question.credentials.clone(),
        properties: Arc::clone(&question.properties),
        process: stream.process(),
    };
    let decided = owner.options.authorizer.decide(&candidate);
    let asks_more = owner.options.zap_domain.name().is_some();
    match decided {
        Some(decision @ Decision::Refuse(..)) => return Ok(decision),
        Some(decision) if !asks_more => return Ok(decision),
        // Nobody was told whom to let in.
        None if !asks_more => return Ok(Decision::refuse()),
        Some(_) | None => {}
    }
    let number = crate::io::unique_id();
    link.expect_decision(number);
    let inquiry = link.this().map(|link| Inquiry { candidate, number, link });
    let is_asked = owner.doorkeeper.as_ref().zip(inquiry).is_some_and(|(doorkeeper, it)| doorkeeper.ask(it));
    if is_asked { Err(number) } else { Ok(Decision::Refuse(AuthStatus::Failed, Reason::NONE)) }
}
