//! bind, connect, unbind and disconnect: what a socket is bound and connected to.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use crate::endpoint::{Address, Endpoint};
use crate::error::{BindErrorKind, ConnectErrorKind, ConnectionError, ProtocolError};
use crate::io::{IoMailbox, NoThread, unique_id};
use crate::patterns::Strategy;
use crate::pipe::{Assist, Claim, PipeKey};
use crate::routing_id::RoutingId;
use crate::session::{Bound, ConnectionState, Dialer, EventKind, Link, Peers, Scene, Status, connect_pipes};
use crate::socket::core::Core;
use crate::socket::{Binding, BindingState, Connection};
use crate::socket_type::SocketType;
use crate::sync::{Mutex, lock};
use crate::transport::Listener;

/// The endpoints of one socket.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    bound: Vec<Binding>,
    connected: Vec<Connected>,
}

#[derive(Debug)]
struct Connected {
    connection: Connection,
    /// The connection; none for inproc.
    link: Option<Arc<Link>>,
    /// The pipe that lasts as long as the connect; none with `immediate`.
    pipe: Option<u64>,
    /// The name that this socket has at a ROUTER of this process.
    lease: Option<Lease>,
}

/// A name at a ROUTER of this process, once that is bound.
pub(super) type Lease = Arc<Mutex<Option<Claim>>>;

impl Connected {
    /// Tells whoever watches that a connect to a socket of this process is over; a dialer does so itself.
    fn tell_closed(&self, peers: &Peers, error: Option<ConnectionError>) {
        if self.link.is_none() {
            let scene = Scene { endpoint: Some(self.connection.endpoint()), ..Scene::default() };
            peers.watchers().tell(Scene { connection: self.pipe, ..scene }, EventKind::Closed(error));
        }
    }
}

impl Endpoints {
    /// One more, in place of those that were unbound through their handles.
    fn note_bound(&mut self, binding: &Binding) {
        self.bound.retain(|binding| binding.state() != BindingState::Closed);
        self.bound.push(binding.clone());
    }

    /// Why the other end of a pipe is gone. That of an inproc connect may have been given up for a newer one of its name.
    pub(super) fn end_of(&self, pipe: u64) -> ConnectionError {
        let mut connected = self.connected.iter().filter(|it| it.pipe == Some(pipe));
        let lease = connected.next().and_then(|it| it.lease.as_ref());
        match lease.is_some_and(|lease| lock(lease).as_ref().is_some_and(Claim::is_lost)) {
            true => ProtocolError::RoutingIdTakenOver.into(),
            false => ConnectionError::PeerClosed,
        }
    }

    /// The pipe is gone for good, and with it the connect that it belongs to.
    pub(super) fn forget(&mut self, pipe: u64, peers: &Peers) {
        let error = self.end_of(pipe);
        self.connected.retain(|connected| {
            let is_gone = connected.pipe == Some(pipe);
            if is_gone {
                // inproc does not come back; a dialer has said itself how it ended.
                connected.connection.status().fail(ConnectionState::Failed, error);
                connected.tell_closed(peers, Some(error));
            }
            !is_gone
        });
    }

    /// Connects that go on and have no peer now.
    pub(super) fn without_peer(&self) -> impl Iterator<Item = &Endpoint> {
        let connections = self.connected.iter().map(|connected| &connected.connection);
        let is_alone = |state: ConnectionState| !state.is_final() && state != ConnectionState::Ready;
        connections.filter(move |it| is_alone(it.state())).map(Connection::endpoint)
    }

    /// The connect to this endpoint that goes on, over a wire.
    fn standing(&self, endpoint: &Endpoint) -> Option<&Connection> {
        let connections = self.connected.iter().filter(|it| it.link.is_some()).map(|it| &it.connection);
        connections.filter(|it| !it.state().is_final()).find(|it| it.endpoint() == endpoint)
    }

    /// Where the binding to this endpoint is.
    fn binding(&self, endpoint: &Endpoint) -> Option<usize> {
        let is_it = |bound: &Binding| bound.state() != BindingState::Closed && bound.endpoint() == endpoint;
        self.bound.iter().position(is_it)
    }

    /// Whether a connect to this endpoint goes on.
    fn is_connected(&self, endpoint: &Endpoint) -> bool {
        let mut connections = self.connected.iter().map(|it| &it.connection);
        connections.any(|it| !it.state().is_final() && it.endpoint() == endpoint)
    }

    /// Whether a connect that goes on has given its peer this name.
    fn has_named(&self, name: &RoutingId) -> bool {
        let mut links = self.connected.iter().filter(|it| !it.connection.state().is_final());
        !name.is_none()
            && links.any(|it| it.link.as_ref().is_some_and(|link| link.owner().peer_name == *name))
    }
}

impl Core {
    /// A call begins that neither sends nor receives: does what was posted, with a budget of its own.
    pub(super) fn attend<P: Strategy>(&mut self, pattern: &mut P) {
        self.pipes.start_attempt();
        self.handle_mail(pattern);
    }

    pub(super) fn bind<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: &Endpoint,
    ) -> Result<Binding, BindErrorKind> {
        self.attend(pattern);
        let bound = self.try_bind(pattern, endpoint);
        if let Err(error) = bound {
            let scene = Scene { endpoint: Some(endpoint), ..Scene::default() };
            self.peers.watchers().tell(scene, EventKind::BindFailed(error));
        }
        bound
    }

    fn try_bind<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: &Endpoint,
    ) -> Result<Binding, BindErrorKind> {
        if self.is_terminated() || self.is_inherited() {
            return Err(BindErrorKind::Terminated);
        }
        if self.socket_type.is_raw() && !matches!(endpoint.address(), Address::Tcp { .. }) {
            return Err(BindErrorKind::TcpOnly);
        }
        if self.socket_type == SocketType::Pair && self.endpoints.is_connected(endpoint) {
            return Err(BindErrorKind::ToItself);
        }
        if let Address::Inproc(name) = endpoint.address() {
            self.bind_inproc(pattern, endpoint, name)?;
            let binding = Binding::inproc(endpoint.clone(), &self.context, &self.peers);
            self.endpoints.note_bound(&binding);
            return Ok(binding);
        }
        let mailbox = self.pick_for_binding()?;
        let (listener, resolved) = Listener::bind(endpoint.address(), self.options())?;
        Ok(self.listen(listener, resolved, mailbox))
    }

    /// Listens on a descriptor that is bound and listens already.
    #[cfg(unix)]
    pub(super) fn bind_fd(&mut self, fd: std::os::fd::OwnedFd) -> Result<Binding, BindErrorKind> {
        if self.is_terminated() || self.is_inherited() {
            return Err(BindErrorKind::Terminated);
        }
        let (listener, endpoint) = Listener::from_fd(fd)?;
        let mailbox = self.pick_for_binding()?;
        Ok(self.listen(listener, endpoint, mailbox))
    }

    fn pick_for_binding(&self) -> Result<Arc<IoMailbox>, BindErrorKind> {
        self.context.pool.pick(self.options().affinity()).map_err(|error| match error {
            NoThread::Failed(error) => BindErrorKind::Io(error.into()),
            NoThread::Finished => BindErrorKind::Terminated,
            NoThread::NoneAllowed => BindErrorKind::NoIoThreads,
        })
    }

    fn listen(&mut self, listener: Listener, resolved: Endpoint, mailbox: Arc<IoMailbox>) -> Binding {
        let bound = Bound::start(listener, mailbox, self.owner(&resolved, RoutingId::NONE));
        let binding = Binding::listening(resolved, bound);
        self.endpoints.note_bound(&binding);
        binding
    }

    pub(super) fn unbind(&mut self, endpoint: &Endpoint) -> Result<(), BindErrorKind> {
        if self.is_inherited() {
            return Err(BindErrorKind::Terminated);
        }
        let position = self.endpoints.binding(endpoint).ok_or(BindErrorKind::NotBound)?;
        self.endpoints.bound.swap_remove(position).unbind();
        Ok(())
    }

    pub(super) fn connect<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: Endpoint,
    ) -> Result<Connection, ConnectErrorKind> {
        self.attend(pattern);
        let connected = self.connect_named(pattern, endpoint, RoutingId::NONE);
        self.show(pattern, true);
        connected
    }

    /// Connects to a peer that shall have this name here, whatever it announces; none: what it announces.
    pub(super) fn connect_as<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: Endpoint,
        peer_name: &RoutingId,
    ) -> Result<Connection, ConnectErrorKind> {
        self.attend(pattern);
        pattern.check_name(&mut self.pipes, peer_name)?;
        // The pattern does not know of a STREAM's connection before it stands.
        if self.socket_type.is_raw() && self.endpoints.has_named(peer_name) {
            return Err(ConnectErrorKind::RoutingIdInUse);
        }
        let connected = self.connect_named(pattern, endpoint, peer_name.clone());
        self.show(pattern, true);
        connected
    }

    fn connect_named<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: Endpoint,
        peer_name: RoutingId,
    ) -> Result<Connection, ConnectErrorKind> {
        if self.is_terminated() || self.is_inherited() {
            return Err(ConnectErrorKind::Terminated);
        }
        if endpoint.is_wildcard() {
            return Err(ConnectErrorKind::Wildcard);
        }
        if self.socket_type.is_raw() && !matches!(endpoint.address(), Address::Tcp { .. }) {
            return Err(ConnectErrorKind::TcpOnly);
        }
        if cfg!(not(unix)) && matches!(endpoint.address(), Address::Ipc(_)) {
            return Err(ConnectErrorKind::NotSupported);
        }
        if self.socket_type == SocketType::Pair && self.endpoints.binding(&endpoint).is_some() {
            return Err(ConnectErrorKind::ToItself);
        }
        if let Some(standing) =
            self.endpoints.standing(&endpoint).filter(|_| self.socket_type.connects_once())
        {
            return Ok(standing.clone());
        }
        // With `immediate` nothing else tells of a dialer that has given up.
        self.endpoints.connected.retain(|it| it.pipe.is_some() || !it.connection.state().is_final());
        let (id, status) = (unique_id(), Arc::new(Status::new()));
        if let Address::Inproc(name) = endpoint.address() {
            let (pipe, lease) = self.connect_inproc(pattern, &endpoint, name, peer_name, &status)?;
            let connection =
                Connection::new(id, endpoint, status, Arc::clone(&self.mailbox), self.context.manner(), None);
            let lease = Some(lease);
            let entry = Connected { connection: connection.clone(), link: None, pipe: Some(pipe), lease };
            self.endpoints.connected.push(entry);
            return Ok(connection);
        }
        let mailbox = self.context.pool.pick(self.options().affinity()).map_err(|error| match error {
            NoThread::Failed(error) => ConnectErrorKind::Io(error.into()),
            NoThread::Finished => ConnectErrorKind::Terminated,
            NoThread::NoneAllowed => ConnectErrorKind::NoIoThreads,
        })?;
        let owner = self.owner(&endpoint, peer_name.clone());
        let link = Link::new(mailbox, owner, Some(Arc::clone(&status)));
        let mut pipe_id = None;
        if link.owner().keeps_pipes() {
            if !peer_name.is_none() && !link.claim_name(peer_name.clone()) {
                return Err(ConnectErrorKind::RoutingIdInUse);
            }
            let (mut pipe, ends) = connect_pipes(link.owner(), &link);
            pipe.peer = (!peer_name.is_none()).then_some(peer_name);
            pipe_id = Some(pipe.id);
            self.attach(pattern, pipe).ok_or(ConnectErrorKind::OnePeerOnly)?;
            link.set_ends(Box::new(ends));
        }
        Dialer::start(&link);
        let connection = Connection::new(
            id,
            endpoint,
            status,
            Arc::clone(&self.mailbox),
            self.context.manner(),
            Some(&link),
        );
        let entry =
            Connected { connection: connection.clone(), link: Some(link), pipe: pipe_id, lease: None };
        self.endpoints.connected.push(entry);
        Ok(connection)
    }

    pub(super) fn disconnect<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: &Endpoint,
    ) -> Result<(), ConnectErrorKind> {
        if self.is_inherited() {
            return Err(ConnectErrorKind::Terminated);
        }
        self.attend(pattern);
        let is_it = |connected: &Connected| {
            connected.connection.endpoint() == endpoint && !connected.connection.state().is_final()
        };
        let position =
            self.endpoints.connected.iter().position(is_it).ok_or(ConnectErrorKind::NotConnected)?;
        let connected = self.endpoints.connected.swap_remove(position);
        self.let_connection_go(pattern, connected);
        self.show(pattern, true);
        Ok(())
    }

    /// A connection was ended through its handle.
    pub(super) fn disconnect_id<P: Strategy>(&mut self, pattern: &mut P, id: u64) {
        let position = self.endpoints.connected.iter().position(|it| it.connection.id() == id);
        if let Some(position) = position {
            let connected = self.endpoints.connected.swap_remove(position);
            self.let_connection_go(pattern, connected);
        }
    }

    fn let_connection_go<P: Strategy>(&mut self, pattern: &mut P, connected: Connected) {
        connected.connection.status().set(ConnectionState::Closed);
        connected.tell_closed(&self.peers, None);
        if let Some(key) = connected.pipe.and_then(|pipe| self.pipes.key(pipe)) {
            pattern.detach(&mut self.pipes, key);
            self.let_go(key);
        } else if let Some(link) = connected.link {
            link.stop(self.linger_deadline());
            for key in self.pipes.stopped() {
                pattern.detach(&mut self.pipes, key);
                drop(self.remove_pipe(key));
            }
        }
    }

    /// Ends the connection of a pipe at once and drops what is queued, both ways. A connect goes on with a new
    /// pipe; a peer that connected may come again.
    pub(super) fn give_up<P: Strategy>(&mut self, pattern: &mut P, key: PipeKey) {
        pattern.detach(&mut self.pipes, key);
        let Some(pipe) = self.remove_pipe(key) else { return };
        let mut connects = self.endpoints.connected.iter();
        let Some(position) = connects.position(|connected| connected.pipe == Some(pipe.id)) else {
            if let Some(assist) = &pipe.assist {
                assist.give_up();
            }
            return;
        };
        let mut connected = self.endpoints.connected.swap_remove(position);
        let endpoint = connected.connection.endpoint().clone();
        connected.pipe = match (&connected.link, endpoint.address()) {
            (Some(link), _) => {
                let (fresh, ends) = connect_pipes(link.owner(), link);
                let (id, ends) = (fresh.id, Box::new(ends));
                // Before the old pipe is dropped: that would end the connect.
                link.renew(ends);
                self.attach(pattern, fresh).map(|_| id)
            }
            (None, Address::Inproc(name)) => {
                let status = Arc::clone(connected.connection.status());
                drop(connected.lease.take()); // the new pipe has the name then
                status.set(ConnectionState::Connecting);
                match self.connect_inproc(pattern, &endpoint, name, RoutingId::NONE, &status) {
                    Ok((pipe, lease)) => {
                        connected.lease = Some(lease);
                        Some(pipe)
                    }
                    Err(refused) => {
                        let error = if let ConnectErrorKind::IncompatibleSocketTypes(theirs) = refused {
                            ProtocolError::IncompatibleSocketTypes(theirs)
                        } else {
                            ProtocolError::RoutingIdInUse
                        };
                        status.fail(ConnectionState::Failed, error.into());
                        connected.tell_closed(&self.peers, Some(error.into()));
                        None
                    }
                }
            }
            (None, Address::Ipc(_) | Address::Tcp { .. }) => None,
        };
        if connected.pipe.is_some() {
            self.endpoints.connected.push(connected);
        }
    }

    /// Stops listening everywhere.
    pub(super) fn unbind_all(&mut self) {
        for binding in std::mem::take(&mut self.endpoints.bound) {
            binding.unbind();
        }
    }

    /// Stops every dialer that has no pipe now; the others stop with their pipes. Returns the names that the socket
    /// has had, to be freed behind those.
    pub(super) fn stop_all(&mut self, deadline: Option<Instant>) -> Vec<Lease> {
        let mut leases = Vec::new();
        for connected in std::mem::take(&mut self.endpoints.connected) {
            connected.connection.status().set(ConnectionState::Closed);
            connected.tell_closed(&self.peers, None);
            if let (Some(link), None) = (connected.link, connected.pipe) {
                link.stop(deadline);
            }
            leases.extend(connected.lease);
        }
        leases
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn bindings_that_were_unbound_through_their_handles_do_not_gather() {
        let mut pull = crate::context::Context::new().open::<crate::Pull>().unwrap();
        for _ in 0..100 {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let bindings = [
                pull.bind_fd(listener.into()).unwrap(),
                pull.bind("tcp://127.0.0.1:0").unwrap(),
                pull.bind("inproc://again and again").unwrap(),
            ];
            bindings.iter().for_each(|binding| binding.unbind());
            assert!(pull.core.endpoints.bound.len() <= bindings.len());
        }
    }
}
