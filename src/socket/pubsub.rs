//! The verbs of PUB, SUB, XPUB and XSUB.
#![forbid(unsafe_code)]

use std::task::Poll;
use std::time::{Duration, Instant};

use crate::error::{SubscribeError, SubscribersError};
use crate::patterns::{Publishes, Strategy, Subscribes, Subscribing as _, XPub};
use crate::socket::Socket;
use crate::socket::call::Call;
use crate::socket::core::Core;

impl<P: Publishes> Socket<P> {
    /// Waits until at least `count` peers have subscribed to something, `timeout` at most.
    ///
    /// The cure of the slow joiner: what is published before a subscription has arrived is lost, however long
    /// ago the subscriber connected. Peers count that have at least one subscription now; to wait for a certain
    /// topic, an [`XPub`] receives it.
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
    /// assert_eq!(nobody, Err(SubscribersError::TimedOut { subscribers: 0 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_subscribers(&mut self, count: usize, timeout: Duration) -> Result<(), SubscribersError> {
        wait_for_subscribers(&mut self.core, &mut self.pattern, count, timeout)
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
        subscribers_call(&mut self.core, &mut self.pattern, count)
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

/// Waits for peers with subscriptions, on a socket of any type.
pub(super) fn wait_for_subscribers<P: Strategy>(
    core: &mut Core,
    pattern: &mut P,
    count: usize,
    timeout: Duration,
) -> Result<(), SubscribersError> {
    let deadline = Instant::now().checked_add(timeout);
    let mut is_over = false;
    loop {
        let subscribers = match count_subscribers(core, pattern)? {
            enough if enough >= count => return Ok(()),
            subscribers => subscribers,
        };
        if core.is_terminated() {
            return Err(SubscribersError::Terminated);
        }
        if is_over {
            return Err(SubscribersError::TimedOut { subscribers });
        }
        is_over = !core.wait(deadline);
    }
}

/// The same in a task.
pub(super) fn subscribers_call<'a, P: Strategy>(
    core: &'a mut Core,
    pattern: &'a mut P,
    count: usize,
) -> impl Future<Output = Result<(), SubscribersError>> {
    Call::new(core, pattern, move |core: &mut Core, pattern: &mut P| match count_subscribers(core, pattern) {
        Ok(subscribers) if subscribers >= count => Poll::Ready(Ok(())),
        Ok(_) if core.is_terminated() => Poll::Ready(Err(SubscribersError::Terminated)),
        Ok(_) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    })
}

fn count_subscribers<P: Strategy>(core: &mut Core, pattern: &mut P) -> Result<usize, SubscribersError> {
    take_subscriptions(core, pattern);
    let publisher = pattern.as_publisher().ok_or(SubscribersError::NotSupported)?;
    Ok(publisher.subscriber_count())
}

/// Takes in what has arrived, as far as the budget of an attempt goes.
fn take_subscriptions<P: Strategy>(core: &mut Core, pattern: &mut P) {
    core.pipes.start_attempt();
    while core.goes_on(pattern)
        || pattern.as_publisher().is_some_and(|publisher| publisher.work(&mut core.pipes))
    {}
    if core.pipes.is_cut_short() {
        core.mailbox.remind();
    }
}
