//! The verbs of PUB, SUB, XPUB and XSUB.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::error::{NotSubscribed, SubscribeError, SubscribersError};
use crate::patterns::{Publisher, Publishes, Strategy, Subscribes, Subscribing as _, XPub};
use crate::pipe::{Question, WakeUp};
use crate::session::Waited;
use crate::socket::Socket;
use crate::socket::call::Call;
use crate::socket::core::Core;

impl<P: Publishes> Socket<P> {
    /// Waits until at least `count` peers have subscribed to something, `timeout` at most.
    ///
    /// The cure of the slow joiner: what is published before a subscription has arrived is lost, however long
    /// ago the subscriber connected. Peers count that have at least one subscription now, whatever it is to:
    /// [`wait_for_subscribers_to`](Self::wait_for_subscribers_to) waits for those who want a certain topic.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](SubscribersError::TimedOut) when there are fewer,
    /// [`Terminated`](SubscribersError::Terminated) when the context is shut down.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use peermq::{Context, Pub, SubscribersError};
    ///
    /// let mut publisher = Context::new().open::<Pub>()?;
    /// publisher.bind("tcp://127.0.0.1:0")?;
    /// let nobody = publisher.wait_for_subscribers(1, Duration::from_millis(1));
    /// assert_eq!(nobody, Err(SubscribersError::TimedOut { subscribers: 0, wanted: 1 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_subscribers(&mut self, count: usize, timeout: Duration) -> Result<(), SubscribersError> {
        wait_for_subscribers(&mut self.core, &mut self.pattern, count, timeout, Publisher::count_all)
    }

    /// Waits until at least `count` peers have subscribed to something, in a task, for any executor and without a
    /// timeout.
    ///
    /// Cancel-safe: what was counted stays counted.
    ///
    /// # Errors
    ///
    /// [`Terminated`](SubscribersError::Terminated) when the context is shut down.
    pub fn wait_for_subscribers_async(
        &mut self,
        count: usize,
    ) -> impl Future<Output = Result<(), SubscribersError>> + Send {
        subscribers_call(&mut self.core, &mut self.pattern, count, Publisher::count_all)
    }

    /// Waits until at least `count` peers would be sent a message that begins with `topic`, `timeout` at most: those
    /// who subscribed to `topic` itself, or to something that it begins with. A peer counts once.
    ///
    /// What is sent then reaches each of them, unless it is dropped because a queue is full or the peer leaves. With
    /// [`xpub_manual`](crate::Options::xpub_manual) the subscriptions count that the application has made for a peer.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](SubscribersError::TimedOut) with their number when there are fewer,
    /// [`Terminated`](SubscribersError::Terminated) when the context is shut down.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use peermq::{Context, Pub, Sub, SubscribersError};
    ///
    /// let context = Context::new();
    /// let mut news = context.open::<Pub>()?;
    /// let endpoint = news.bind("tcp://127.0.0.1:0")?;
    /// let mut reader = context.open::<Sub>()?;
    /// reader.connect(&endpoint)?;
    /// reader.subscribe("weather.")?;
    /// news.wait_for_subscribers_to("weather.rain", 1, Duration::from_secs(10))?;
    /// let nobody = news.wait_for_subscribers_to("sports.", 1, Duration::from_millis(1));
    /// assert_eq!(nobody, Err(SubscribersError::TimedOut { subscribers: 0, wanted: 1 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_subscribers_to(
        &mut self,
        topic: impl AsRef<[u8]>,
        count: usize,
        timeout: Duration,
    ) -> Result<(), SubscribersError> {
        let counted = |publisher: &mut Publisher| publisher.subscriber_count_to(topic.as_ref());
        wait_for_subscribers(&mut self.core, &mut self.pattern, count, timeout, counted)
    }

    /// Waits until at least `count` peers would be sent a message that begins with `topic`, in a task, for any executor
    /// and without a timeout: see [`wait_for_subscribers_to`](Self::wait_for_subscribers_to).
    ///
    /// Cancel-safe: what was counted stays counted.
    ///
    /// # Errors
    ///
    /// [`Terminated`](SubscribersError::Terminated) when the context is shut down.
    pub fn wait_for_subscribers_to_async(
        &mut self,
        topic: impl AsRef<[u8]>,
        count: usize,
    ) -> impl Future<Output = Result<(), SubscribersError>> + Send {
        let topic = topic.as_ref().to_vec();
        let counted = move |publisher: &mut Publisher| publisher.subscriber_count_to(&topic);
        subscribers_call(&mut self.core, &mut self.pattern, count, counted)
    }

    /// Returns how many peers have subscribed to something, as far as their subscriptions have arrived.
    pub fn subscriber_count(&mut self) -> usize {
        take_subscriptions(&mut self.core, &mut self.pattern);
        self.pattern.publisher_ref().subscriber_count()
    }

    /// Returns how many different topics peers have subscribed to, as far as their subscriptions have arrived.
    pub fn topic_count(&mut self) -> usize {
        take_subscriptions(&mut self.core, &mut self.pattern);
        self.pattern.publisher_ref().topic_count()
    }
}

impl<P: Subscribes> Socket<P> {
    /// Subscribes to all messages whose first frame begins with `topic`; all there are, if it is empty.
    ///
    /// Counts: a topic that was subscribed to twice must be unsubscribed from twice. Publishers are told of each in the
    /// background, also those that connect later; what was taken back before one was told, that one does not hear of.
    ///
    /// # Errors
    ///
    /// [`TooMuch`](SubscribeError::TooMuch) for a topic of more than a mebioctet or the 4,000,001st one.
    pub fn subscribe(&mut self, topic: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        self.pattern.subscribe(topic.as_ref())
    }

    /// Takes a subscription back. Messages that publishers sent before they know are not received any more by
    /// a [`Sub`](crate::Sub). Returns `false` when there was no such subscription.
    pub fn unsubscribe(&mut self, topic: impl AsRef<[u8]>) -> bool {
        self.pattern.unsubscribe(topic.as_ref())
    }

    /// Waits until every publisher has what this socket subscribes to, `timeout` at most.
    ///
    /// For who asks for a snapshot and must not miss the next update: whatever a publisher sends in a call that begins
    /// after this has returned, it sends with these subscriptions, but for what is said of each kind below: one of another
    /// implementation may need about a millisecond more. Every publisher is one that is connected now, or
    /// that this socket has connected to and is not connected with: a `connect` that never succeeds makes this time
    /// out. There has to be at least one. A socket that has not subscribed to anything has nothing to be confirmed: with
    /// every publisher connected, this returns `Ok` at once.
    ///
    /// What is known depends on the publisher:
    ///
    /// * peermq: its next call takes these subscriptions in before it does what it is called for; 64 of them may wait for
    ///   that, so that a few are confirmed by a publisher that is in no call. Of more it has to take in the others first, in
    ///   its calls, some hundred in each; one that makes none lets this time out. A publisher whose peers subscribe to more
    ///   than a hundred topics, all together, between two of its calls may take in the rest a few calls later.
    /// * libzmq and others of ZMTP 3.1: it has the subscriptions in the queue to its socket (a PING behind them, answered by
    ///   PONG). A libzmq socket looks at that queue in each call, but no more than once in 3,000,000 processor cycles, which
    ///   is about a millisecond, while it sends all the time.
    /// * Before ZMTP 3.1, which has no such answer: the kernel has the subscriptions.
    ///
    /// An XPUB with [`xpub_manual`](crate::Options::xpub_manual) has received the subscription; what it does with that
    /// is up to its application.
    ///
    /// Messages that come meanwhile wait to be received. Once [`recv_hwm`](crate::Options::recv_hwm) of them wait from
    /// one publisher its answer waits behind them, and this times out.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](NotSubscribed::TimedOut), with how many had confirmed it, and one that had not;
    /// [`Terminated`](NotSubscribed::Terminated) when the context is shut down.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use peermq::{Context, Pub, Sub};
    ///
    /// let context = Context::new();
    /// let mut news = context.open::<Pub>()?;
    /// let endpoint = news.bind("tcp://127.0.0.1:0")?;
    /// let mut reader = context.open::<Sub>()?;
    /// reader.connect(&endpoint)?;
    /// reader.subscribe("weather.")?;
    /// reader.wait_subscribed(Duration::from_secs(10))?;
    /// news.send("weather.rain")?; // knows by now
    /// assert_eq!(reader.recv()?, "weather.rain");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_subscribed(&mut self, timeout: Duration) -> Result<(), NotSubscribed> {
        wait_subscribed(&mut self.core, &mut self.pattern, timeout)
    }

    /// Waits until every publisher has what this socket subscribes to, in a task, for any executor and without a
    /// timeout: see [`wait_subscribed`](Self::wait_subscribed).
    ///
    /// Cancel-safe: it changes nothing.
    ///
    /// # Errors
    ///
    /// [`Terminated`](NotSubscribed::Terminated) when the context is shut down.
    pub fn wait_subscribed_async(&mut self) -> impl Future<Output = Result<(), NotSubscribed>> + Send {
        subscribed_call(&mut self.core, &mut self.pattern)
    }

    /// Returns how many different topics this socket has subscribed to.
    #[must_use]
    pub fn subscription_count(&self) -> usize {
        self.pattern.topic_count()
    }
}

impl Socket<XPub> {
    /// With [`xpub_manual`](crate::Options::xpub_manual): subscribes, for the peer whose subscription was
    /// received last, to a topic that need not be the one it asked for.
    ///
    /// # Errors
    ///
    /// [`NoPeer`](SubscribeError::NoPeer) when no subscription was received, or the peer has left;
    /// [`TooMuch`](SubscribeError::TooMuch).
    pub fn subscribe(&mut self, topic: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        self.pattern.subscribe(topic.as_ref())
    }

    /// With [`xpub_manual`](crate::Options::xpub_manual): unsubscribes for the peer whose subscription was
    /// received last. Returns `false` when it had no such subscription.
    pub fn unsubscribe(&mut self, topic: impl AsRef<[u8]>) -> bool {
        self.pattern.unsubscribe(topic.as_ref())
    }
}

/// Waits for peers that are counted so, on a socket of any type.
pub(super) fn wait_for_subscribers<P: Strategy>(
    core: &mut Core,
    pattern: &mut P,
    count: usize,
    timeout: Duration,
    mut counted: impl FnMut(&mut Publisher) -> usize,
) -> Result<(), SubscribersError> {
    let is_early = |error: &SubscribersError| matches!(error, SubscribersError::TimedOut { .. });
    wait_while(core, timeout, is_early, SubscribersError::Interrupted, |core| {
        look_for_subscribers(core, pattern, count, &mut counted)
    })
}

/// Looks while it `is_early`, `timeout` at most, or until a signal ends the wait if the context says so.
fn wait_while<E>(
    core: &mut Core,
    timeout: Duration,
    is_early: impl Fn(&E) -> bool,
    interrupted: E,
    mut look: impl FnMut(&mut Core) -> Result<(), E>,
) -> Result<(), E> {
    let deadline = Instant::now().checked_add(timeout);
    let mut waited = Waited::News;
    loop {
        match (look(core), waited) {
            (Err(error), Waited::News) if is_early(&error) => waited = core.wait_in_call(deadline),
            (Err(error), Waited::Interrupted) if is_early(&error) => return Err(interrupted),
            (outcome, _) => return outcome,
        }
    }
}

/// The same in a task.
pub(super) fn subscribers_call<'a, P: Strategy>(
    core: &'a mut Core,
    pattern: &'a mut P,
    count: usize,
    mut counted: impl FnMut(&mut Publisher) -> usize + Unpin + Send + 'a,
) -> impl Future<Output = Result<(), SubscribersError>> + Send {
    Call::new(core, pattern, move |core: &mut Core, pattern: &mut P| {
        match look_for_subscribers(core, pattern, count, &mut counted) {
            Err(SubscribersError::TimedOut { .. }) => Poll::Pending,
            outcome => Poll::Ready(outcome),
        }
    })
}

/// `TimedOut` until there are `count`.
fn look_for_subscribers<P: Strategy>(
    core: &mut Core,
    pattern: &mut P,
    count: usize,
    counted: impl FnOnce(&mut Publisher) -> usize,
) -> Result<(), SubscribersError> {
    take_subscriptions(core, pattern);
    match pattern.as_publisher().map(counted).ok_or(SubscribersError::NotSupported)? {
        enough if enough >= count => Ok(()),
        _ if core.is_terminated() => Err(SubscribersError::Terminated),
        subscribers => Err(SubscribersError::TimedOut { subscribers, wanted: count }),
    }
}

/// Waits until every publisher has what the socket subscribes to, on a socket of any type.
pub(super) fn wait_subscribed<P: Strategy>(
    core: &mut Core,
    pattern: &mut P,
    timeout: Duration,
) -> Result<(), NotSubscribed> {
    let question = ask(core)?;
    let is_early = |error: &NotSubscribed| matches!(error, NotSubscribed::TimedOut { .. });
    let waited = wait_while(core, timeout, is_early, NotSubscribed::Interrupted, |core| {
        look_for_answers(core, pattern, &question)
    });
    let Err(NotSubscribed::TimedOut { subscribed, publishers, .. }) = waited else { return waited };
    let absent = core.endpoints.without_peer().next().cloned();
    let missing = absent.or_else(|| question.missing());
    Err(NotSubscribed::TimedOut { missing, subscribed, publishers })
}

/// The same in a task.
pub(super) fn subscribed_call<'a, P: Strategy>(
    core: &'a mut Core,
    pattern: &'a mut P,
) -> impl Future<Output = Result<(), NotSubscribed>> + Send {
    let mut question = None;
    Call::new(core, pattern, move |core: &mut Core, pattern: &mut P| {
        let question = match &question {
            Some(question) => question,
            None => match ask(core) {
                Ok(asked) => &*question.insert(asked),
                Err(error) => return Poll::Ready(Err(error)),
            },
        };
        match look_for_answers(core, pattern, question) {
            Err(NotSubscribed::TimedOut { .. }) => Poll::Pending,
            outcome => Poll::Ready(outcome),
        }
    })
}

fn ask(core: &Core) -> Result<Question, NotSubscribed> {
    let upstream = core.upstream.as_ref().ok_or(NotSubscribed::NotSupported)?;
    // No pipe has the number 0: the notice does nothing but wake.
    Ok(upstream.ask(WakeUp::new(0, Arc::clone(&core.mailbox))))
}

/// `TimedOut` until every publisher has confirmed it.
fn look_for_answers<P: Strategy>(
    core: &mut Core,
    pattern: &mut P,
    question: &Question,
) -> Result<(), NotSubscribed> {
    core.pipes.start_attempt();
    while core.goes_on(pattern) {}
    if core.pipes.is_cut_short() {
        core.mailbox.remind();
    }
    if core.is_terminated() {
        return Err(NotSubscribed::Terminated);
    }
    // Connects first: one that gets its peer meanwhile has a publisher that has not confirmed anything.
    let absent = core.endpoints.without_peer().count();
    let answers = question.answers();
    let publishers = answers.publishers + absent;
    if publishers > 0 && answers.confirmed == publishers {
        return Ok(());
    }
    Err(NotSubscribed::TimedOut { missing: None, subscribed: answers.confirmed, publishers })
}

/// Takes in what has arrived, as far as the budget of an attempt goes.
fn take_subscriptions<P: Strategy>(core: &mut Core, pattern: &mut P) {
    core.pipes.start_attempt();
    while core.goes_on(pattern) {}
    if core.pipes.is_cut_short() {
        core.mailbox.remind();
    }
}
