//! Questions and answers while every system call fails at random.

use super::faults::{CLOSING, FAULTS, Heard, Trial, beside, campaign, message};
use super::*;
use crate::transport::faults::Harm;
use crate::{Dealer, Outgoing, Rep, Req, Router};

/// A side that asks.
trait Asks {
    /// Asks, and takes the answer if it comes in time. Whether the question was accepted.
    fn exchange(&mut self, message: Message, patience: Duration, heard: &mut Heard) -> bool;

    /// What became of the questions, if it gives none up.
    fn questions(&self) -> Option<Outgoing>;
}

/// A side that answers.
trait Answers {
    /// Answers the next question with itself.
    fn answer(&mut self, heard: &mut Heard);

    /// How many answers the kernel had.
    fn answers(&self) -> u64;
}

/// Listens until the answer is there, or it is not waited for any more.
fn wait_for_answer(patience: Duration, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience.max(20 * TURN);
    while Instant::now() < deadline && !is_there() {}
}

impl Asks for Socket<Req> {
    fn exchange(&mut self, message: Message, patience: Duration, heard: &mut Heard) -> bool {
        let number = number_of(&message);
        let Ok(mut reply) = self.request_timeout(message, patience) else { return false };
        wait_for_answer(patience, || {
            let Ok(answer) = reply.recv_timeout(TURN) else { return false };
            assert_eq!(heard.note(&answer), number, "the answer to something else");
            true
        });
        true
    }

    fn questions(&self) -> Option<Outgoing> {
        None
    }
}

impl Asks for Socket<Dealer> {
    fn exchange(&mut self, message: Message, patience: Duration, heard: &mut Heard) -> bool {
        let number = number_of(&message);
        if self.send_timeout(message, patience).is_err() {
            return false;
        }
        wait_for_answer(patience, || {
            self.recv_timeout(TURN).is_ok_and(|answer| heard.note(&answer) == number)
        });
        true
    }

    fn questions(&self) -> Option<Outgoing> {
        Some(self.outgoing())
    }
}

impl Answers for Socket<Rep> {
    fn answer(&mut self, heard: &mut Heard) {
        let Ok(mut request) = self.recv_timeout(TURN) else { return };
        let message = request.take_message();
        heard.note(&message);
        // Refused when the peer is gone.
        let _ = request.reply(message);
    }

    fn answers(&self) -> u64 {
        self.outgoing().handed_over
    }
}

impl Answers for Socket<Router> {
    fn answer(&mut self, heard: &mut Heard) {
        let Ok((from, message)) = self.recv_timeout(TURN) else { return };
        heard.note(&message);
        self.send_to(&from, message).unwrap();
    }

    fn answers(&self) -> u64 {
        self.outgoing().handed_over
    }
}

/// Questions go one way, and come back.
fn asked<A: Pattern, B: Pattern>(trial: &mut Trial)
where
    Socket<A>: Asks,
    Socket<B>: Answers,
{
    let (mut asker, mut answerer) = trial.join::<A, B>();
    let (mut next, mut questions, mut answers) = (0, Heard::default(), Heard::default());
    let patience = trial.patience;
    let plan = Arc::clone(&trial.plan);
    let ask_on = || {
        let deadline = Instant::now() + PATIENCE;
        let mut ask = |patience, dice: &mut Dice| {
            let before = answers.count();
            next += u32::from(asker.exchange(message(next, dice), patience, &mut answers));
            answers.count() > before
        };
        while plan.tally().total() < FAULTS {
            assert!(Instant::now() < deadline, "too little happens");
            let is_answered = ask(patience, &mut trial.dice);
            assert!(is_answered || !trial.is_harmless(), "no answer");
        }
        plan.end();
        eventually("there is one connection, which works", || ask(STALL, &mut trial.dice));
        for _ in 0..CLOSING {
            assert!(ask(PATIENCE, &mut trial.dice), "no answer");
        }
    };
    beside(ask_on, || answerer.answer(&mut questions));
    assert!(answers.numbers.is_subset(&questions.numbers), "answers to what was not asked");
    assert!(questions.numbers.last().is_none_or(|last| *last < next), "never asked");
    if trial.is_harmless() {
        assert_eq!((questions.count(), answers.count()), (next.into(), next.into()));
        assert!(!questions.is_disordered && !answers.is_disordered);
    }
    match asker.questions() {
        Some(outgoing) => {
            assert_eq!(outgoing.accepted(), next.into(), "{outgoing:?}");
            trial.check_loss(outgoing, &questions, next);
            let (arrived, handed_over) = (answers.count(), answerer.answers());
            assert!(arrived == handed_over || trial.harm == Harm::Any && arrived < handed_over);
        }
        // A question that is given up costs its connection.
        None => {
            let (gaps, breaks) = (questions.gaps(next), trial.plan.breaks());
            assert!(gaps <= breaks, "{gaps} gaps, but {breaks} breaks");
            assert!(answers.count() <= answerer.answers());
        }
    }
}

#[test]
fn req_and_rep_outlive_all_faults() {
    campaign("REQ and REP", asked::<Req, Rep>);
}

#[test]
fn dealer_and_router_outlive_all_faults() {
    campaign("DEALER and ROUTER", asked::<Dealer, Router>);
}
