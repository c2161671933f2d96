//! Between the frames of a ZMTP 1.0 peer and those of the pipes, which are ZMTP 3's: see [`Translator`](super::translator::Translator).
//!
//! Exchanges headers and copies bodies, a bounded piece at a time, and holds nothing while nothing comes. Sizes are not its
//! matter: a translated header is judged in the pipe like any other, before anything is reserved for its body.
//!
//! Source: RFC 13, "The Framing Layer".
#![forbid(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};

use bytes::{Buf as _, Bytes};
use smallvec::SmallVec;

use crate::error::{OsError, ProtocolError};
use crate::frame::{self, Header, zmtp1};
use crate::io::End;
use crate::limits::TRANSLATED_OCTETS;
use crate::transport::{Read, Stream};

/// What is under way in both directions.
#[derive(Debug)]
pub(super) struct Zmtp1 {
    incoming: Incoming,
    /// Translated, and not read yet.
    ready: Bytes,
    /// What the peer did wrong behind that, or what the kernel had to say.
    error: Option<End>,
    outgoing: Outgoing,
}

/// What comes next from the peer.
#[derive(Debug)]
enum Incoming {
    /// So many octets of a body.
    Body(u64),
    /// A header, of which these octets have come.
    Header(SmallVec<[u8; zmtp1::HEADER_MAX]>),
}

/// What goes next to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outgoing {
    /// So many octets of a body.
    Body(u64),
    /// A header, of which the kernel has so many octets.
    Header(usize),
}

impl Zmtp1 {
    /// Begins behind the handshake. `unsaid` comes first, as it is, then `behind`, which the peer has sent.
    pub(super) fn new(unsaid: &[u8], behind: &[u8]) -> Self {
        let mut translator = Self {
            incoming: Incoming::Header(SmallVec::new()),
            ready: Bytes::new(),
            error: None,
            outgoing: Outgoing::Header(0),
        };
        translator.take(unsaid, behind);
        translator
    }

    /// Fills `room` with translated octets, as far as the kernel has any.
    ///
    /// # Errors
    ///
    /// What the peer did wrong, behind everything that was right.
    pub(super) fn read(&mut self, stream: &mut Stream, room: &mut [IoSliceMut<'_>]) -> Result<Read, End> {
        let mut filled = 0;
        for slice in room {
            let mut slice: &mut [u8] = slice;
            while !slice.is_empty() {
                if self.ready.is_empty() {
                    match self.read_piece(stream, filled)? {
                        Read::Octets(_) => continue,
                        end if filled == 0 => return Ok(end),
                        Read::Dry | Read::End => return Ok(Read::Octets(filled)),
                    }
                }
                let (mine, rest) = slice.split_at_mut(self.ready.len().min(slice.len()));
                self.ready.copy_to_slice(mine);
                if self.ready.is_empty() {
                    self.ready = Bytes::new(); // gives the memory back, too
                }
                filled += mine.len();
                slice = rest;
            }
        }
        Ok(Read::Octets(filled))
    }

    /// Whether there is more to [`read`](Self::read) without the kernel.
    pub(super) fn has_more(&self) -> bool {
        self.error.is_some() || !self.ready.is_empty()
    }

    /// Writes `control_octets` as they are, then frames, translated. How many of the octets in `slices` are done
    /// with: all, or as many as the kernel took; none of a header of which it has only a part.
    pub(super) fn write(
        &mut self,
        stream: &mut Stream,
        slices: &[IoSlice<'_>],
        control_octets: usize,
    ) -> Result<usize, OsError> {
        let (control, frames) = slices.split_at(usize::from(control_octets > 0));
        let mut done = 0;
        if control_octets > 0 {
            done = stream.write(control)?;
            if done < control_octets {
                return Ok(done);
            }
        }
        let mut octets = Vec::with_capacity(TRANSLATED_OCTETS);
        for slice in frames {
            let mut rest: &[u8] = slice;
            while !rest.is_empty() {
                let before = self.outgoing;
                octets.clear();
                let mut taken = self.outgoing.translate(rest, &mut octets, TRANSLATED_OCTETS);
                let written = match stream.write(&[IoSlice::new(&octets)]) {
                    // What the kernel has is done with; the next write finds the error again.
                    Err(_) if done > 0 => {
                        self.outgoing = before;
                        return Ok(done);
                    }
                    written => written?,
                };
                let is_short = written < octets.len();
                if is_short {
                    // The same again, up to where the kernel stopped.
                    self.outgoing = before;
                    octets.clear();
                    taken = self.outgoing.translate(rest, &mut octets, written);
                }
                done += taken;
                if is_short {
                    return Ok(done);
                }
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        Ok(done)
    }

    /// Whether something may be written that is not a frame's. Inside of a body the pipe says that it may not.
    pub(super) fn is_between_frames(&self) -> bool {
        !matches!(self.outgoing, Outgoing::Header(1..))
    }

    /// One read from the kernel, unless an error comes first: behind `filled` octets, that waits.
    fn read_piece(&mut self, stream: &mut Stream, filled: usize) -> Result<Read, End> {
        match self.error {
            Some(_) if filled > 0 => return Ok(Read::Dry),
            Some(error) => return Err(error),
            None => {}
        }
        let mut octets = [0; TRANSLATED_OCTETS];
        let read = stream.read(&mut [IoSliceMut::new(&mut octets)]).map_err(End::Io);
        match read {
            Ok(Read::Octets(count)) => self.take(&[], octets.get(..count).unwrap_or_default()),
            Ok(Read::Dry | Read::End) => {}
            Err(end) => {
                // What was filled is to be heard first.
                self.error = Some(end);
                return if filled > 0 { Ok(Read::Dry) } else { Err(end) };
            }
        }
        read
    }

    /// Translates what came, behind `unsaid`, and makes all of it ready.
    fn take(&mut self, unsaid: &[u8], octets: &[u8]) {
        // Translated it is not longer, but by a header of which a part came before.
        let mut out = Vec::with_capacity(unsaid.len() + octets.len() + zmtp1::HEADER_MAX);
        out.extend_from_slice(unsaid);
        self.error = self.incoming.translate(octets, &mut out).err().map(End::Protocol);
        self.ready = out.into();
    }
}

impl Incoming {
    /// Translates `input`, all of it unless there is an error in it.
    fn translate(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        while !input.is_empty() {
            match self {
                Self::Body(left) => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    let (body, rest) = input.split_at(step);
                    out.extend_from_slice(body);
                    *left -= body.len() as u64;
                    input = rest;
                    if *left == 0 {
                        *self = Self::Header(SmallVec::new());
                    }
                }
                Self::Header(held) => {
                    let Some((octet, rest)) = input.split_first() else { break };
                    held.push(*octet);
                    input = rest;
                    let Some(header) = zmtp1::parse(held)? else { continue };
                    let header = zmtp1::check(header)?;
                    push_header(header, out);
                    if header.body_octets > 0 {
                        *self = Self::Body(header.body_octets);
                    } else {
                        held.clear();
                    }
                }
            }
        }
        Ok(())
    }
}

impl Outgoing {
    /// Translates frames at the start of `input` until there are `room` octets in `out`. How much of `input` is done
    /// with: a header when all of its translation is in `out`.
    fn translate(&mut self, mut input: &[u8], out: &mut Vec<u8>, room: usize) -> usize {
        let before = input.len();
        while !input.is_empty() && out.len() < room {
            let room = room - out.len();
            match self {
                Self::Body(left) => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len()).min(room);
                    let (body, rest) = input.split_at(step);
                    out.extend_from_slice(body);
                    *left -= body.len() as u64;
                    input = rest;
                    if *left == 0 {
                        *self = Self::Header(0);
                    }
                }
                Self::Header(written) => {
                    let Some(header) = Header::parse(input) else { unreachable!("pipes hold whole frames") };
                    let (octets, octets_of_header) = zmtp1::encode(header.has_more(), header.body_octets);
                    let rest = octets.get(*written..octets_of_header).unwrap_or_default();
                    let step = rest.len().min(room);
                    out.extend(rest.iter().take(step));
                    *written += step;
                    if step < rest.len() {
                        break;
                    }
                    input = input.get(header.header_octets..).unwrap_or_default();
                    *self =
                        if header.body_octets > 0 { Self::Body(header.body_octets) } else { Self::Header(0) };
                }
            }
        }
        before - input.len()
    }
}

/// The header as a pipe has it, in long form if its size does not fit one octet.
fn push_header(header: Header, out: &mut Vec<u8>) {
    let flags = header.flags & frame::MORE;
    match u8::try_from(header.body_octets) {
        Ok(octets) => out.extend([flags, octets]),
        Err(_) => {
            out.push(flags | frame::LONG);
            out.extend(header.body_octets.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames with bodies of these sizes, all but the last with MORE, as a pipe has them and as ZMTP 1.0.
    fn both(sizes: &[usize]) -> (Vec<u8>, Vec<u8>) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for (at, &size) in sizes.iter().enumerate() {
            let has_more = at + 1 < sizes.len();
            let body: Vec<u8> = (0..=250).cycle().take(size).collect();
            let (header, octets) = frame::encode_header(u8::from(has_more), size);
            ours.extend([&header[..octets], &body].concat());
            let (header, octets) = zmtp1::encode(has_more, size as u64);
            theirs.extend([&header[..octets], &body].concat());
        }
        (ours, theirs)
    }

    const SIZES: [usize; 10] = [0, 1, 252, 253, 254, 255, 256, 0, 300, 2];

    fn heard(pieces: &[&[u8]]) -> (Vec<u8>, Option<ProtocolError>) {
        let mut translator = Zmtp1::new(b"", b"");
        let mut out = Vec::new();
        for piece in pieces {
            translator.take(&[], piece);
            // It holds no more than one read brings, and a header.
            assert!(translator.ready.len() <= piece.len() + zmtp1::HEADER_MAX);
            out.extend_from_slice(&translator.ready);
            if translator.error.is_some() {
                break;
            }
        }
        let error = translator.error.map(|end| {
            let End::Protocol(error) = end else { unreachable!("{end:?}") };
            error
        });
        (out, error)
    }

    #[test]
    fn what_comes_is_translated_in_every_cut() {
        let (ours, theirs) = both(&SIZES);
        assert_eq!(heard(&[&theirs]), (ours.clone(), None));
        assert_eq!(heard(&theirs.chunks(1).collect::<Vec<_>>()), (ours.clone(), None));
        for cut in 0..=theirs.len() {
            assert_eq!(heard(&[&theirs[..cut], &theirs[cut..]]), (ours.clone(), None), "cut at {cut}");
        }
    }

    #[test]
    fn bodies_around_the_buffers_of_others_are_whole() {
        // B-08: two messages near 8192 octets, one behind the other, in reads of 8192 octets and less.
        for first in 8185..=8200 {
            for second in 8185..=8200 {
                let (mut ours, mut theirs) = both(&[first]);
                let behind = both(&[second]);
                ours.extend(behind.0);
                theirs.extend(behind.1);
                for piece in [8192, 8191, 8190] {
                    assert!(heard(&theirs.chunks(piece).collect::<Vec<_>>()) == (ours.clone(), None));
                }
            }
        }
    }

    #[test]
    fn it_holds_no_more_than_a_read_and_a_header() {
        // Of small frames, of those with the longest headers, and of one that fills all reads.
        for sizes in [vec![0; 50_000], vec![1; 50_000], vec![253; 1000], vec![300; 1000], vec![1 << 20]] {
            let (_, theirs) = both(&sizes);
            let mut translator = Zmtp1::new(b"", b"");
            let (mut most, mut octets) = (0, 0);
            for piece in theirs.chunks(TRANSLATED_OCTETS) {
                translator.take(&[], piece);
                octets += translator.ready.len();
                most = most.max(Vec::from(std::mem::take(&mut translator.ready)).capacity());
                if let Incoming::Header(held) = &translator.incoming {
                    assert!(!held.spilled() && held.len() < zmtp1::HEADER_MAX);
                }
            }
            assert!(octets > TRANSLATED_OCTETS && translator.error.is_none());
            let bound = TRANSLATED_OCTETS..=TRANSLATED_OCTETS + zmtp1::HEADER_MAX;
            assert!(bound.contains(&most), "{most} of {}", sizes[0]);
            // And on its way out.
            let (ours, _) = both(&sizes);
            let (mut out, mut outgoing) = (Vec::with_capacity(TRANSLATED_OCTETS), Outgoing::Header(0));
            let mut rest = &ours[..];
            while !rest.is_empty() {
                out.clear();
                rest = &rest[outgoing.translate(rest, &mut out, TRANSLATED_OCTETS)..];
                assert_eq!(out.capacity(), TRANSLATED_OCTETS);
            }
        }
    }

    #[test]
    fn a_long_header_with_a_small_size_comes_in_the_short_form() {
        let theirs = [0xFF, 0, 0, 0, 0, 0, 0, 0, 3, 1, b'h', b'i', 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0];
        assert_eq!(heard(&[&theirs]), (b"\x01\x02hi\0\0".to_vec(), None));
    }

    #[test]
    fn what_is_right_comes_before_what_is_wrong() {
        // D8, F-14
        let (ours, good) = both(&[3]);
        for (bad, error) in [
            (&b"\0"[..], ProtocolError::FrameTooShort),
            (b"\xff\0\0\0\0\0\0\0\0", ProtocolError::FrameTooShort),
            (b"\x02\x02x", ProtocolError::ReservedFlags(2)),
            (b"\x02\x05x", ProtocolError::ReservedFlags(5)),
        ] {
            let theirs = [&good, bad, &good].concat();
            assert_eq!(heard(&[&theirs]), (ours.clone(), Some(error)));
            assert_eq!(heard(&theirs.chunks(1).collect::<Vec<_>>()), (ours.clone(), Some(error)));
        }
    }

    #[test]
    fn a_size_of_two_to_the_63_is_left_for_the_pipe_to_judge() {
        // F-07: as a header that is refused there.
        for length in [(1_u64 << 63) + 1, u64::MAX] {
            let theirs = [&[0xFF], &length.to_be_bytes()[..], &[0, 1, 2]].concat();
            let header = Header::parse(&heard(&[&theirs]).0).unwrap();
            assert_eq!(header.check(u64::MAX), Err(ProtocolError::FrameTooLarge(length - 1)));
        }
    }

    /// Says `ours` to a kernel that takes so many octets each time, over and over.
    fn said(ours: &[u8], takes: &[usize]) -> Vec<u8> {
        let mut outgoing = Outgoing::Header(0);
        let (mut rest, mut said) = (ours, Vec::new());
        for &take in takes.iter().cycle() {
            let mut out = Vec::new();
            let mut whole = outgoing;
            whole.translate(rest, &mut out, usize::MAX);
            if out.is_empty() {
                break;
            }
            let take = take.min(out.len());
            let is_all = take == out.len();
            out.clear();
            let done = outgoing.translate(rest, &mut out, take);
            assert_eq!(out.len(), take, "exactly what the kernel took");
            assert_eq!(done == rest.len(), is_all, "all is done with when all is taken, and not before");
            said.extend(out);
            rest = &rest[done..];
        }
        assert_eq!((rest.len(), outgoing), (0, Outgoing::Header(0)));
        said
    }

    #[test]
    fn what_goes_out_is_translated_wherever_the_kernel_stops() {
        let (ours, theirs) = both(&SIZES);
        for takes in [&[usize::MAX][..], &[1], &[2], &[3, 1], &[9], &[10], &[11, 7], &[250, 1, 5]] {
            assert_eq!(said(&ours, takes), theirs, "{takes:?}");
        }
        for first in 1..theirs.len() {
            assert_eq!(said(&ours, &[first, usize::MAX]), theirs, "{first}");
        }
    }

    #[test]
    fn a_header_is_done_with_when_the_kernel_has_all_of_its_translation() {
        let (ours, _) = both(&[300]);
        let mut outgoing = Outgoing::Header(0);
        let mut out = Vec::new();
        assert_eq!(outgoing.translate(&ours, &mut out, 9), 0);
        assert_eq!((out.len(), outgoing), (9, Outgoing::Header(9)));
        assert_eq!(outgoing.translate(&ours, &mut out, 10), 9);
        assert_eq!(outgoing, Outgoing::Body(300));
    }
}
