//! bind, connect, unbind and disconnect: what a socket is bound and connected to.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::endpoint::{Address, Endpoint};
use crate::error::{BindError, ConnectError};
use crate::patterns::Strategy;
use crate::pipe::Assist;
use crate::session::{Bound, Dialer, Link, connect_pipes};
use crate::socket::core::Core;
use crate::transport::Listener;

/// The endpoints of one socket.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    bound: Vec<(Endpoint, Option<Bound>)>,
    connected: Vec<Connected>,
}

#[derive(Debug)]
struct Connected {
    endpoint: Endpoint,
    /// The connection; none for inproc.
    link: Option<Arc<Link>>,
    /// The pipe that lasts as long as the connect; none with `immediate`.
    pipe: Option<u64>,
}

impl Endpoints {
    /// The pipe is gone for good, and with it the connect that it belongs to.
    pub(super) fn forget(&mut self, pipe: u64) {
        self.connected.retain(|connected| connected.pipe != Some(pipe));
    }
}

impl Core {
    pub(super) fn bind<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: Endpoint,
    ) -> Result<Endpoint, BindError> {
        self.handle_mail(pattern);
        if self.is_terminated() {
            return Err(BindError::Terminated);
        }
        if let Address::Inproc(name) = endpoint.address() {
            self.bind_inproc(pattern, name)?;
            self.endpoints.bound.push((endpoint.clone(), None));
            return Ok(endpoint);
        }
        let mailbox = self.context.pool.pick(self.options().affinity()).map_err(|error| match error {
            Some(error) => BindError::Io(error.into()),
            None => BindError::Terminated,
        })?;
        let (listener, resolved) = Listener::bind(endpoint.address(), self.options())?;
        let bound = Bound::start(listener, mailbox, self.owner());
        self.endpoints.bound.push((resolved.clone(), Some(bound)));
        Ok(resolved)
    }

    pub(super) fn unbind(&mut self, endpoint: &Endpoint) -> Result<(), BindError> {
        let position = self.endpoints.bound.iter().position(|(bound, _)| bound == endpoint);
        let (_, listener) = self.endpoints.bound.swap_remove(position.ok_or(BindError::NotBound)?);
        if listener.is_none() {
            self.unbind_inproc(endpoint);
        }
        Ok(())
    }

    pub(super) fn connect<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: Endpoint,
    ) -> Result<(), ConnectError> {
        self.handle_mail(pattern);
        if self.is_terminated() {
            return Err(ConnectError::Terminated);
        }
        if endpoint.is_wildcard() {
            return Err(ConnectError::Wildcard);
        }
        if cfg!(not(unix)) && matches!(endpoint.address(), Address::Ipc(_)) {
            return Err(ConnectError::NotSupported);
        }
        if let Address::Inproc(name) = endpoint.address() {
            let pipe = self.connect_inproc(pattern, name)?;
            self.endpoints.connected.push(Connected { endpoint, link: None, pipe: Some(pipe) });
            return Ok(());
        }
        let mailbox = self.context.pool.pick(self.options().affinity()).map_err(|error| match error {
            Some(error) => ConnectError::Io(error.into()),
            None => ConnectError::Terminated,
        })?;
        let link = Link::new(mailbox, self.owner());
        let mut id = None;
        if !self.options().immediate() {
            let (pipe, ends) = connect_pipes(link.owner(), &link);
            id = Some(pipe.id);
            self.attach(pattern, pipe).ok_or(ConnectError::OnePeerOnly)?;
            link.set_ends(Box::new(ends));
        }
        Dialer::start(&link, endpoint.address().clone());
        self.endpoints.connected.push(Connected { endpoint, link: Some(link), pipe: id });
        Ok(())
    }

    pub(super) fn disconnect<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: &Endpoint,
    ) -> Result<(), ConnectError> {
        self.handle_mail(pattern);
        let position = self.endpoints.connected.iter().position(|connected| connected.endpoint == *endpoint);
        let position = position.ok_or(ConnectError::NotConnected)?;
        let connected = self.endpoints.connected.swap_remove(position);
        if let Some(key) = connected.pipe.and_then(|pipe| self.pipes.key(pipe)) {
            pattern.detach(&mut self.pipes, key);
            self.let_go(key);
        } else if let Some(link) = connected.link {
            link.stop(self.linger_deadline());
            for key in self.pipes.stopped() {
                pattern.detach(&mut self.pipes, key);
                drop(self.pipes.remove(key));
            }
        }
        Ok(())
    }

    /// Stops listening everywhere.
    pub(super) fn unbind_all(&mut self) {
        for (endpoint, listener) in std::mem::take(&mut self.endpoints.bound) {
            if listener.is_none() {
                self.unbind_inproc(&endpoint);
            }
        }
    }

    /// Stops every dialer that has no pipe now; the others stop with their pipes.
    pub(super) fn stop_all(&mut self) {
        let deadline = self.linger_deadline();
        for connected in std::mem::take(&mut self.endpoints.connected) {
            if let (Some(link), None) = (connected.link, connected.pipe) {
                link.stop(deadline);
            }
        }
    }
}
