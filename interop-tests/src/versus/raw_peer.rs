//! Plain blocking sockets, one thread a side: the floor, with no message library in between.
//!
//! A frame is four octets of length, little-endian, and the body. The sender copies frames into a
//! batch of 64 KiB and sends it when it is full, a frame cut in two where need be; the receiver takes
//! up to 64 KiB at a time and copies each body out. Round trips go one frame per write; within a process a futex
//! says whose turn it is.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use super::handoff::Handoff;
use super::raw_link::{BATCH_OCTETS, Channel, Link};
use super::side::{Implementation, Pair, Pull, Push};
use super::stamp;
use super::task::{Task, Transport};

/// Octets of a frame's length.
const HEADER_OCTETS: usize = size_of::<u32>();

/// Makes plain sockets.
#[derive(Debug)]
pub(crate) struct Raw {
    size: usize,
    pub(super) fan: u32,
    pub(super) address: String,
    /// Within a process: the two ends of one connection, the last taken first.
    channels: Mutex<Vec<Channel>>,
    /// The same for round trips.
    handoffs: Mutex<Vec<Handoff>>,
}

/// Encodes frames into batches.
#[derive(Debug)]
pub(crate) struct RawPush {
    link: Link,
    batch: Vec<u8>,
    body: Vec<u8>,
}

/// Decodes frames from batches.
#[derive(Debug)]
pub(crate) struct RawPull {
    link: Link,
    batch: Vec<u8>,
    /// What of `batch` is received and not yet decoded is between `start` and `end`.
    start: usize,
    end: usize,
    body: Vec<u8>,
}

/// Sends and receives one frame at a time.
#[derive(Debug)]
pub(crate) struct RawPair {
    way: Way,
    /// Header and body together, so that one write sends both.
    frame: Vec<u8>,
    size: usize,
}

/// What a frame goes over, there and back.
#[derive(Debug)]
enum Way {
    Link(Link),
    Handoff(Handoff),
}

impl Raw {
    fn bind(&self) -> Result<(Link, String)> {
        match self.channel() {
            Some(channel) => Ok((Link::Inproc(channel), self.address.clone())),
            None => Link::bind(&self.address),
        }
    }

    fn connect(&self, endpoint: &str) -> Result<Link> {
        match self.channel() {
            Some(channel) => Ok(Link::Inproc(channel)),
            None => Link::connect(endpoint),
        }
    }

    fn channel(&self) -> Option<Channel> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// One of the two ends within a process; `None` between processes.
    fn handoff(&self, is_binding: bool) -> Option<Handoff> {
        let mut handoffs = self.handoffs.lock().unwrap_or_else(PoisonError::into_inner);
        let at = handoffs.iter().position(|it| it.echoes() == is_binding)?;
        Some(handoffs.swap_remove(at))
    }

    fn pair(&self, way: Way) -> Result<RawPair> {
        let mut frame = header(self.size)?.to_vec();
        frame.resize(HEADER_OCTETS + self.size, 0);
        Ok(RawPair { way, frame, size: self.size })
    }
}

impl Implementation for Raw {
    type Push = RawPush;
    type Pull = RawPull;
    type Pair = RawPair;

    fn new(task: &Task) -> Result<Self> {
        let (channels, handoffs) = match task.case.transport {
            Transport::Inproc => (<[Channel; 2]>::from(Channel::pair()).into(), Handoff::pair().into()),
            Transport::Tcp | Transport::Ipc => (Vec::new(), Vec::new()),
        };
        Ok(Self {
            size: task.case.size,
            fan: task.case.fan,
            address: task.address.clone(),
            channels: Mutex::new(channels),
            handoffs: Mutex::new(handoffs),
        })
    }

    fn bind_pull(&self) -> Result<(RawPull, String)> {
        let (link, endpoint) = self.bind()?;
        Ok((RawPull { link, batch: Vec::new(), start: 0, end: 0, body: vec![0; self.size] }, endpoint))
    }

    fn connect_push(&self, endpoint: &str) -> Result<RawPush> {
        let link = self.connect(endpoint)?;
        Ok(RawPush { link, batch: Vec::with_capacity(BATCH_OCTETS), body: vec![0; self.size] })
    }

    fn bind_pair(&self) -> Result<(RawPair, String)> {
        if let Some(handoff) = self.handoff(true) {
            return Ok((self.pair(Way::Handoff(handoff))?, self.address.clone()));
        }
        let (link, endpoint) = self.bind()?;
        Ok((self.pair(Way::Link(link))?, endpoint))
    }

    fn connect_pair(&self, endpoint: &str) -> Result<RawPair> {
        match self.handoff(false) {
            Some(handoff) => self.pair(Way::Handoff(handoff)),
            None => self.pair(Way::Link(self.connect(endpoint)?)),
        }
    }
}

impl Push for RawPush {
    #[inline]
    fn push(&mut self, sequence: u64) -> Result<()> {
        stamp::write(&mut self.body, sequence);
        let header = header(self.body.len())?;
        if self.batch.len() + HEADER_OCTETS + self.body.len() <= BATCH_OCTETS {
            self.batch.extend_from_slice(&header);
            self.batch.extend_from_slice(&self.body);
            return Ok(());
        }
        put(&mut self.link, &mut self.batch, &header)?;
        put(&mut self.link, &mut self.batch, &self.body)
    }

    fn flush(&mut self) -> Result<()> {
        self.link.send_batch(&mut self.batch)
    }
}

impl Pull for RawPull {
    #[inline]
    fn pull(&mut self) -> Result<u64> {
        let header = self.batch.get(self.start..self.end).and_then(<[u8]>::first_chunk);
        let Some(&header) = header else { return self.pull_in_pieces() };
        self.check_length(header)?;
        let start = self.start + HEADER_OCTETS;
        let end = start + self.body.len();
        if end > self.end {
            return self.pull_in_pieces();
        }
        let Some(body) = self.batch.get(start..end) else { unreachable!("`end` is at most the batch's") };
        self.body.copy_from_slice(body);
        self.start = end;
        stamp::read(&self.body, self.body.len())
    }
}

impl RawPull {
    /// A frame that is cut between batches.
    #[cold]
    fn pull_in_pieces(&mut self) -> Result<u64> {
        let mut header = [0; HEADER_OCTETS];
        self.fill(&mut header)?;
        self.check_length(header)?;
        let mut body = std::mem::take(&mut self.body);
        self.fill(&mut body)?;
        self.body = body;
        stamp::read(&self.body, self.body.len())
    }

    fn fill(&mut self, mut target: &mut [u8]) -> Result<()> {
        while !target.is_empty() {
            if self.start == self.end {
                self.end = self.link.receive_batch(&mut self.batch)?;
                self.start = 0;
            }
            let octets = target.len().min(self.end - self.start);
            let (piece, rest) = target.split_at_mut(octets);
            let source = self.batch.get(self.start..self.start + octets);
            piece.copy_from_slice(source.context("a batch shorter than it said")?);
            self.start += octets;
            target = rest;
        }
        Ok(())
    }

    #[inline]
    fn check_length(&self, header: [u8; HEADER_OCTETS]) -> Result<()> {
        let octets = u32::from_le_bytes(header) as usize;
        ensure!(
            octets == self.body.len(),
            "a frame of {octets} octets arrived where {} were sent",
            self.body.len()
        );
        Ok(())
    }
}

impl RawPair {
    fn send(&mut self) -> Result<()> {
        match &mut self.way {
            Way::Link(link) => link.send_frame(&self.frame),
            Way::Handoff(handoff) => {
                handoff.send(&mut self.frame);
                Ok(())
            }
        }
    }

    fn receive(&mut self) -> Result<u64> {
        match &mut self.way {
            Way::Link(link) => link.receive_frame(&mut self.frame)?,
            Way::Handoff(handoff) => handoff.receive(&mut self.frame),
        }
        let (front, body) = self.frame.split_first_chunk().context("a frame without a header")?;
        ensure!(*front == header(self.size)?, "a frame of another length arrived");
        stamp::read(body, self.size)
    }
}

impl Pair for RawPair {
    fn echo(&mut self) -> Result<()> {
        self.receive()?;
        self.send()
    }

    fn round_trip(&mut self, sequence: u64) -> Result<u64> {
        if let Some(body) = self.frame.get_mut(HEADER_OCTETS..) {
            stamp::write(body, sequence);
        }
        self.send()?;
        self.receive()
    }
}

/// Appends `octets` to `batch`, and sends it each time it is full.
#[cold]
fn put(link: &mut Link, batch: &mut Vec<u8>, mut octets: &[u8]) -> Result<()> {
    while !octets.is_empty() {
        let (piece, rest) = octets.split_at(octets.len().min(BATCH_OCTETS - batch.len()));
        batch.extend_from_slice(piece);
        octets = rest;
        if batch.len() == BATCH_OCTETS {
            link.send_batch(batch)?;
        }
    }
    Ok(())
}

#[inline]
fn header(size: usize) -> Result<[u8; HEADER_OCTETS]> {
    Ok(u32::try_from(size).context("a frame has fewer than 4 GiB")?.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_cut_between_batches() {
        for size in [8, 100, BATCH_OCTETS - 2, BATCH_OCTETS, 3 * BATCH_OCTETS + 5] {
            let (one, other) = Channel::pair();
            let batch = Vec::new();
            let mut push = RawPush { link: Link::Inproc(one), batch, body: vec![7; size] };
            let batch = Vec::new();
            let mut pull =
                RawPull { link: Link::Inproc(other), batch, start: 0, end: 0, body: vec![0; size] };
            let count = (4 * BATCH_OCTETS / size).max(2) as u64;
            for sequence in 0..count {
                push.push(sequence).unwrap();
            }
            push.flush().unwrap();
            for sequence in 0..count {
                assert_eq!(pull.pull().unwrap(), sequence);
                assert!(pull.body[8..].iter().all(|&octet| octet == 7));
            }
        }
    }
}
