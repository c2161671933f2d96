//! A publisher: what PUB and XPUB have in common. Takes subscriptions in and sends what was subscribed to.
//!
//! Subscriptions come as notes of the sessions, as messages in libzmq's form, or from the feed of a socket of
//! this process. An XPUB's application is told of them; what it does not receive stays at the peer once some
//! have gathered. A peer that left keeps its seat until its topics are forgotten, a few at a time.
//!
//! Source: RFC 29, PUB and XPUB; RFC 37, "PUB-SUB".
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};

use crate::error::{SendError, SubscribeError};
use crate::limits::{CHANGES_PER_CALL, NEWS_MAX, TOPIC_WORK};
use crate::message::{Message, Payload, Subscription};
use crate::options::Options;
use crate::patterns::news::{Hold, News, Told};
use crate::pipe::{Change, NoMessage, PipeKey, Pipes, Taken, Waste, note::Note};
use crate::routing::{FanOut, Left, Removed, Seat, TooMuch, Topics};

/// Subscribers, and what they want.
#[derive(Debug)]
pub(crate) struct Publisher {
    topics: Topics,
    fan_out: FanOut,
    /// Peers that may have said more than was taken in.
    busy: VecDeque<PipeKey>,
    /// Peers of which nothing is taken in until the application has received some of what others said.
    held: Vec<PipeKey>,
    /// Messages of subscriptions that were taken in as far as this frame.
    begun: HashMap<PipeKey, (Message, usize)>,
    /// Peers that left, and what is still to be forgotten of them.
    leaving: VecDeque<Leaving>,
    /// Topics that are still to be forgotten.
    leaving_topics: usize,
    /// Peers with subscriptions.
    subscribers: usize,
    /// For the application; a PUB has none.
    news: Option<News>,
    is_inverted: bool,
    is_nodrop: bool,
    only_first: bool,
    welcome: Option<Message>,
    /// What is taken out of pipes; used again.
    message: Message,
}

#[derive(Debug)]
struct Leaving {
    seat: Seat,
    topics: Left,
    /// With manual subscriptions: what it said itself.
    asked: Option<Left>,
}

impl Publisher {
    /// A publisher whose application hears nothing.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            topics: Topics::new(),
            fan_out: FanOut::default(),
            busy: VecDeque::new(),
            held: Vec::new(),
            begun: HashMap::new(),
            leaving: VecDeque::new(),
            leaving_topics: 0,
            subscribers: 0,
            news: None,
            is_inverted: options.invert_matching,
            is_nodrop: options.xpub_nodrop,
            only_first: options.only_first_subscribe,
            welcome: options.xpub_welcome_message.octets().map(Message::from),
            message: Message::new(),
        }
    }

    /// A publisher whose application hears of subscriptions.
    pub(super) fn with_news(options: &Options) -> Self {
        Self { news: Some(News::new(options)), ..Self::new(options) }
    }

    pub(super) fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.fan_out.add(key);
        if pipes.get_mut(key).is_some_and(|pipe| pipe.peer.is_some()) {
            self.welcome(pipes, key);
        }
        self.read(pipes, key);
    }

    pub(super) fn detach(&mut self, key: PipeKey) {
        self.busy.retain(|other| *other != key);
        self.held.retain(|other| *other != key);
        self.begun.remove(&key);
        self.leave(key);
    }

    /// The peer has said something.
    pub(super) fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.read(pipes, key);
    }

    /// Sends to those who want it; fails only if nothing may be dropped and somebody has no room.
    #[inline]
    pub(super) fn send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        if !self.busy.is_empty() || !self.leaving.is_empty() {
            while self.work(pipes) {}
        }
        if payload.has_too_many_parts(0) {
            return Err(SendError::TooManyParts);
        }
        self.fan_out.start();
        let only = self.news.as_ref().filter(|news| news.greets_last).and_then(|_| self.last_peer());
        if let Some((_, seat)) = only {
            self.mark_if_wanted(seat, payload.body());
        } else {
            for subscribers in self.topics.matches(payload.body()) {
                for seat in subscribers {
                    self.fan_out.mark(*seat);
                }
            }
        }
        if self.is_inverted {
            self.fan_out.invert();
        }
        if self.is_nodrop {
            self.fan_out.has_room(pipes)?;
        }
        self.fan_out.send(pipes, payload);
        if !self.is_nodrop {
            pipes.take_far_ahead(); // who never waits for room does not wait for the kernel, either
        }
        if let (Some(_), Some(news)) = (only, &mut self.news) {
            news.last = None;
        }
        Ok(())
    }

    /// Marks this one peer.
    #[cold]
    fn mark_if_wanted(&mut self, seat: Seat, topic: &[u8]) {
        if self.topics.matches(topic).flatten().any(|other| *other == seat) {
            self.fan_out.mark(seat);
        }
    }

    /// What the application receives next.
    pub(super) fn next_news(&mut self, pipes: &mut Pipes) -> Option<Message> {
        loop {
            let news = self.news.as_mut()?;
            if let Some(item) = news.queue.pop_front() {
                pipes.heard = item.from.map(|(key, _)| key);
                // Somebody else may have its seat.
                let is_there = item.from.is_some_and(|(key, seat)| self.fan_out.seat(key) == Some(seat));
                if let Some(key) = news.received(&item, is_there) {
                    self.read(pipes, key);
                }
                self.release();
                return Some(item.message);
            }
            if !self.work(pipes) {
                return None;
            }
        }
    }

    /// Whether there is something for the application to receive.
    pub(super) fn has_news(&mut self, pipes: &mut Pipes) -> bool {
        loop {
            let Some(news) = &self.news else { return false };
            if !news.queue.is_empty() {
                return true;
            }
            if !self.work(pipes) {
                return false;
            }
        }
    }

    /// Does some of what is left to do. `false`: there was nothing, or there is no budget for more.
    pub(crate) fn work(&mut self, pipes: &mut Pipes) -> bool {
        let is_any = !self.busy.is_empty() || !self.leaving.is_empty();
        if !is_any || !pipes.spend(1) {
            return false;
        }
        match self.busy.pop_front() {
            Some(key) => self.read(pipes, key),
            None => self.forget_some(pipes),
        }
        self.release();
        true
    }

    /// Whether nothing more is taken in that the application would have to hear of.
    fn is_full(&self) -> bool {
        self.leaving_topics >= NEWS_MAX || self.news.as_ref().is_some_and(News::is_full)
    }

    /// There is room again for what peers say.
    fn release(&mut self) {
        if !self.held.is_empty() && !self.is_full() {
            self.busy.extend(self.held.drain(..));
        }
    }

    /// Subscribes for the peer whose subscription was received last.
    pub(super) fn subscribe_manually(&mut self, topic: &[u8]) -> Result<(), SubscribeError> {
        let (_, seat) = self.last_peer().ok_or(SubscribeError::NoPeer)?;
        let is_new = self.topics.count_of(seat) == 0;
        self.topics.add(seat, topic).map_err(|TooMuch| SubscribeError::TooMuch)?;
        self.subscribers += usize::from(is_new);
        Ok(())
    }

    /// Unsubscribes for the peer whose subscription was received last. `false`: it had no such subscription.
    pub(super) fn unsubscribe_manually(&mut self, topic: &[u8]) -> bool {
        let Some((_, seat)) = self.last_peer() else { return false };
        self.remove(seat, topic) != Removed::Nothing
    }

    /// Peers with subscriptions, for who has it to be changed.
    pub(crate) fn count_all(&mut self) -> usize {
        self.subscribers
    }

    /// Peers with subscriptions.
    pub(crate) fn subscriber_count(&self) -> usize {
        self.subscribers
    }

    /// Peers that would be sent a message which begins with `topic`.
    pub(crate) fn subscriber_count_to(&mut self, topic: &[u8]) -> usize {
        self.fan_out.start();
        for seat in self.topics.matches(topic).flatten() {
            self.fan_out.mark(*seat);
        }
        if self.is_inverted {
            self.fan_out.invert();
        }
        self.fan_out.marked_count()
    }

    /// Topics that somebody subscribes to.
    pub(crate) fn topic_count(&self) -> usize {
        self.topics.count()
    }

    /// Messages of subscribers that the application has not received, outside of their queues.
    pub(super) fn unreceived(&self) -> u64 {
        let news = self.news.iter().flat_map(|news| &news.queue);
        news.filter(|item| item.is_user_message).count() as u64
    }

    /// The peer that manual subscriptions are for, if it is still there.
    fn last_peer(&self) -> Option<(PipeKey, Seat)> {
        let (key, seat) = self.news.as_ref()?.last?;
        (self.fan_out.seat(key) == Some(seat)).then_some((key, seat))
    }

    /// Takes in what a peer said: all of it, or its share, or as far as the budget goes, or until the application has to
    /// receive some.
    fn read(&mut self, pipes: &mut Pipes, key: PipeKey) {
        // No more, so that a peer which has said a lot leaves some of the budget to others.
        for _ in 0..CHANGES_PER_CALL {
            let Some(seat) = self.fan_out.seat(key) else { return };
            let is_full = self.is_full();
            match self.news.as_mut().map(|news| news.hold(seat, is_full)) {
                Some(Hold::ForItsOwn) => return,
                // Nothing of its own will be received, with which it would go on.
                Some(Hold::ForOthers) => {
                    if !self.held.contains(&key) {
                        self.held.push(key);
                    }
                    return;
                }
                Some(Hold::No) | None => {}
            }
            if !pipes.spend(TOPIC_WORK) {
                break;
            }
            match self.take(pipes, key, seat) {
                Ok(true) => {}
                Ok(false) => return,
                Err(TooMuch) => return pipes.expel(key),
            }
        }
        // Once is enough, however often it is told.
        if !self.busy.contains(&key) {
            self.busy.push_back(key);
        }
    }

    /// Takes in one thing that a peer said, or one frame. `false`: there is nothing, and it will tell.
    fn take(&mut self, pipes: &mut Pipes, key: PipeKey, seat: Seat) -> Result<bool, TooMuch> {
        if !self.begun.is_empty() {
            if let Some((message, at)) = self.begun.remove(&key) {
                return self.take_frame(key, seat, message, at).map(|()| true);
            }
        }
        if let Some(change) = pipes.next_change(key) {
            let subscription = match &change {
                Change::Cancel(topic) => Subscription::Unsubscribe(topic),
                Change::Subscribe(topic) => Subscription::Subscribe(topic),
                Change::Question(_) => return Ok(true), // sessions are asked, not publishers
            };
            self.apply(key, seat, subscription)?;
            return Ok(true);
        }
        let mut message = std::mem::take(&mut self.message);
        let taken = pipes.take(key, &mut message);
        let applied = match taken {
            Ok(Taken::Note) => self.take_note(pipes, key, seat, message.body()),
            Ok(Taken::Message) => self.take_message(pipes, key, seat, &mut message),
            Err(NoMessage::Closed | NoMessage::Dry) => Ok(()),
        };
        self.message = message;
        applied.map(|()| taken.is_ok())
    }

    fn take_note(&mut self, pipes: &mut Pipes, key: PipeKey, seat: Seat, note: &[u8]) -> Result<(), TooMuch> {
        match Note::parse(note) {
            Some(Note::Subscribe(topic)) => self.apply(key, seat, Subscription::Subscribe(topic)),
            Some(Note::Cancel(topic)) => self.apply(key, seat, Subscription::Unsubscribe(topic)),
            Some(Note::Passage) => {
                let passage = pipes.take_passage(key);
                if passage.has_left {
                    // The pipe stays, for the next connection: a new subscriber.
                    self.leave(key);
                    self.fan_out.add(key);
                }
                if passage.arrived.is_some() {
                    self.welcome(pipes, key);
                }
                Ok(())
            }
            Some(Note::Up(_)) => {
                self.welcome(pipes, key);
                Ok(())
            }
            Some(Note::Down) | None => Ok(()),
        }
    }

    /// A message is a subscription in libzmq's form, or one for the application: a PUB's has none.
    fn take_message(
        &mut self,
        pipes: &mut Pipes,
        key: PipeKey,
        seat: Seat,
        message: &mut Message,
    ) -> Result<(), TooMuch> {
        // Of many frames it ends what this attempt reads.
        pipes.spend_on(Waste::of(message));
        if Subscription::from_message(message).is_none() {
            if let Some(news) = &mut self.news {
                news.put(key, seat, std::mem::take(message), true);
            } else {
                pipes.drops().unwanted.add(1);
            }
            return Ok(());
        }
        self.take_frame(key, seat, std::mem::take(message), 0)
    }

    /// Takes in this frame of a message of subscriptions; what is behind it comes next.
    fn take_frame(&mut self, key: PipeKey, seat: Seat, message: Message, at: usize) -> Result<(), TooMuch> {
        let frame = message.frame(at).map_or(&[][..], |frame| frame);
        let applied = Subscription::from_octets(frame).map_or(Ok(()), |it| self.apply(key, seat, it));
        if at + 1 < message.frame_count() && !self.only_first {
            self.begun.insert(key, (message, at + 1));
        }
        applied
    }

    fn apply(&mut self, key: PipeKey, seat: Seat, subscription: Subscription<'_>) -> Result<(), TooMuch> {
        let is_change = match subscription {
            Subscription::Subscribe(topic) => self.add(seat, topic)?,
            Subscription::Unsubscribe(topic) => {
                self.remove_asked(seat, topic) == Removed::Topic { is_last: true }
            }
        };
        let Some(news) = &mut self.news else { return Ok(()) };
        let is_told = match news.told {
            Told::All => true,
            Told::Changes => is_change,
            Told::Subscriptions => is_change || subscription.is_subscribe(),
        };
        if is_told {
            news.put(key, seat, subscription.to_message(), false);
        }
        Ok(())
    }

    /// A peer subscribes. `true`: nobody had.
    fn add(&mut self, seat: Seat, topic: &[u8]) -> Result<bool, TooMuch> {
        if let Some(asked) = self.asked() {
            return asked.add(seat, topic);
        }
        let is_new = self.topics.count_of(seat) == 0;
        let is_first = self.topics.add(seat, topic)?;
        self.subscribers += usize::from(is_new);
        Ok(is_first)
    }

    fn remove_asked(&mut self, seat: Seat, topic: &[u8]) -> Removed {
        match self.asked() {
            Some(asked) => asked.remove(seat, topic),
            None => self.remove(seat, topic),
        }
    }

    fn remove(&mut self, seat: Seat, topic: &[u8]) -> Removed {
        let removed = self.topics.remove(seat, topic);
        let was_last = matches!(removed, Removed::Topic { .. }) && self.topics.count_of(seat) == 0;
        self.subscribers -= usize::from(was_last);
        removed
    }

    fn asked(&mut self) -> Option<&mut Topics> {
        self.news.as_mut()?.asked.as_mut()
    }

    /// The peer is gone: it gets nothing more, and its topics are to be forgotten.
    fn leave(&mut self, key: PipeKey) {
        let Some(seat) = self.fan_out.remove(key) else { return };
        self.subscribers -= usize::from(self.topics.count_of(seat) > 0);
        let topics = self.topics.leave(seat);
        let asked = self.asked().map(|asked| asked.leave(seat));
        if let Some(news) = &mut self.news {
            news.forget(seat);
        }
        self.leaving_topics += topics.len() + asked.as_ref().map_or(0, Left::len);
        self.leaving.push_back(Leaving { seat, topics, asked });
    }

    /// Forgets some topics of those who left.
    fn forget_some(&mut self, pipes: &mut Pipes) {
        let mut topic = Vec::new();
        while !self.leaving.is_empty() && pipes.spend(TOPIC_WORK) {
            let Some(leaving) = self.leaving.front_mut() else { return };
            let (seat, given) = (leaving.seat, leaving.topics.next());
            let Some(id) = given.or_else(|| leaving.asked.as_mut()?.next()) else {
                self.leaving.pop_front();
                self.fan_out.vacate(seat);
                if self.leaving.is_empty() {
                    self.leaving = VecDeque::new(); // many may have left at once
                }
                continue;
            };
            self.leaving_topics -= 1;
            let asked = self.news.as_mut().and_then(|news| news.asked.as_mut());
            let (topics, is_news) = match asked {
                // What was subscribed to for it is nobody's news.
                Some(_) if given.is_some() => (&mut self.topics, false),
                Some(asked) => (asked, true),
                None => (&mut self.topics, true),
            };
            let is_last = topics.forget(seat, id, &mut topic);
            let is_told = |news: &&mut News| is_news && (is_last || news.told == Told::All);
            if let Some(news) = self.news.as_mut().filter(is_told) {
                news.put_of_none(Subscription::Unsubscribe(&topic).to_message());
            }
        }
    }

    /// Sends the welcome message, if there is one.
    fn welcome(&self, pipes: &mut Pipes, key: PipeKey) {
        if let Some(welcome) = &self.welcome {
            // A new pipe has room; on an old one it may be full of what the last connection left.
            let _ = pipes.offer(key, &mut Payload::from(welcome));
        }
    }
}
