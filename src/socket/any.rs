//! The verbs that not every type has, on a socket whose type is chosen at run time.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::error::{ConnectError, EndpointError, NotSubscribed, SubscribeError, SubscribersError};
use crate::patterns::{AnyPattern, Publisher, Strategy, Subscribing};
use crate::routing_id::RoutingId;
use crate::socket::{Connection, Socket, pubsub};

impl Socket<AnyPattern> {
    /// Connects as [`connect`](Self::connect) does, to a peer that has this name here: see
    /// [`connect_as`](Socket::<crate::Router>::connect_as) of a ROUTER.
    ///
    /// # Errors
    ///
    /// See [`ConnectErrorKind`](crate::ConnectErrorKind); [`NotSupported`](crate::ConnectErrorKind::NotSupported) when this type does not know its peers
    /// by name.
    pub fn connect_as<E>(&mut self, name: &RoutingId, endpoint: E) -> Result<Connection, ConnectError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        let endpoint = endpoint.try_into().map_err(|error| ConnectError::from(error.into()))?;
        let connected = self.core.connect_as(&mut self.pattern, endpoint.clone(), name);
        connected.map_err(|kind| ConnectError::new(&endpoint, kind))
    }

    /// Subscribes to all messages whose first frame begins with `topic`; an XPUB does so for the peer whose
    /// subscription it received last.
    ///
    /// # Errors
    ///
    /// See [`SubscribeError`]; [`NotSupported`](SubscribeError::NotSupported) when this type does not subscribe.
    pub fn subscribe(&mut self, topic: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        self.subscriber()?.subscribe(topic.as_ref())
    }

    /// Takes a subscription back. Returns `false` when there was no such subscription.
    ///
    /// # Errors
    ///
    /// [`NotSupported`](SubscribeError::NotSupported) when this type does not subscribe.
    pub fn unsubscribe(&mut self, topic: impl AsRef<[u8]>) -> Result<bool, SubscribeError> {
        Ok(self.subscriber()?.unsubscribe(topic.as_ref()))
    }

    /// Waits until at least `count` peers have subscribed to something, `timeout` at most: see
    /// [`wait_for_subscribers`](Socket::<crate::Pub>::wait_for_subscribers) of a PUB.
    ///
    /// # Errors
    ///
    /// See [`SubscribersError`]; [`NotSupported`](SubscribersError::NotSupported) at once when this type has no
    /// subscribers.
    pub fn wait_for_subscribers(&mut self, count: usize, timeout: Duration) -> Result<(), SubscribersError> {
        pubsub::wait_for_subscribers(&mut self.core, &mut self.pattern, count, timeout, Publisher::count_all)
    }

    /// Waits until at least `count` peers have subscribed to something, in a task: see
    /// [`wait_for_subscribers_async`](Socket::<crate::Pub>::wait_for_subscribers_async) of a PUB.
    ///
    /// Cancel-safe: what was counted stays counted.
    ///
    /// # Errors
    ///
    /// See [`SubscribersError`].
    pub fn wait_for_subscribers_async(
        &mut self,
        count: usize,
    ) -> impl Future<Output = Result<(), SubscribersError>> + Send {
        pubsub::subscribers_call(&mut self.core, &mut self.pattern, count, Publisher::count_all)
    }

    /// Waits until at least `count` peers would be sent a message that begins with `topic`, `timeout` at most: see
    /// [`wait_for_subscribers_to`](Socket::<crate::Pub>::wait_for_subscribers_to) of a PUB.
    ///
    /// # Errors
    ///
    /// See [`SubscribersError`]; [`NotSupported`](SubscribersError::NotSupported) at once when this type has no
    /// subscribers.
    pub fn wait_for_subscribers_to(
        &mut self,
        topic: impl AsRef<[u8]>,
        count: usize,
        timeout: Duration,
    ) -> Result<(), SubscribersError> {
        let counted = |publisher: &mut Publisher| publisher.subscriber_count_to(topic.as_ref());
        pubsub::wait_for_subscribers(&mut self.core, &mut self.pattern, count, timeout, counted)
    }

    /// Waits until every publisher has what this socket subscribes to, `timeout` at most: see
    /// [`wait_subscribed`](Socket::<crate::Sub>::wait_subscribed) of a SUB.
    ///
    /// # Errors
    ///
    /// See [`NotSubscribed`]; [`NotSupported`](NotSubscribed::NotSupported) at once when this type does not subscribe.
    pub fn wait_subscribed(&mut self, timeout: Duration) -> Result<(), NotSubscribed> {
        pubsub::wait_subscribed(&mut self.core, &mut self.pattern, timeout)
    }

    fn subscriber(&mut self) -> Result<&mut dyn Subscribing, SubscribeError> {
        self.pattern.as_subscriber().ok_or(SubscribeError::NotSupported)
    }
}
