//! Boxes: what NaCl's `crypto_box` and `crypto_secretbox` make, in place.
//!
//! A box is a tag of 16 octets and as many octets of ciphertext as there were of text: XSalsa20 and Poly1305 under a
//! key of both ends' making. What does not open is not touched, and nothing of it is seen.
//!
//! Source: RFC 26, "Cryptographic Box"; Bernstein, "Cryptography in NaCl".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dryoc::classic::crypto_box::{
    crypto_box_detached_afternm_inplace, crypto_box_open_detached_afternm_inplace,
};
use dryoc::classic::crypto_core::crypto_core_hsalsa20;
use dryoc::classic::crypto_onetimeauth::{crypto_onetimeauth, crypto_onetimeauth_verify};
use salsa20::SalsaCore;
use salsa20::cipher::array::Array;
use salsa20::cipher::consts::{U10, U64};
use salsa20::cipher::{KeyIvInit as _, StreamCipherCore as _};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::KEY;
use crate::error::ProtocolError;
use crate::limits::SHORT_BOX_OCTETS;
use crate::wire::mechanism::Random;

/// Octets of a box's tag.
pub(super) const TAG: usize = 16;
/// Octets of a nonce.
pub(super) const NONCE: usize = 24;

/// A pair of keys for one connection.
pub(super) struct TransientKeys {
    pub(super) secret: Zeroizing<[u8; KEY]>,
    pub(super) public: [u8; KEY],
}

impl TransientKeys {
    pub(super) fn new(random: Random) -> Result<Self, ProtocolError> {
        let secret = Zeroizing::new(random_octets::<KEY>(random)?);
        let public = PublicKey::from(&StaticSecret::from(*secret)).to_bytes();
        Ok(Self { secret, public })
    }
}

pub(super) fn random_octets<const N: usize>(random: Random) -> Result<[u8; N], ProtocolError> {
    let mut octets = [0; N];
    if random(&mut octets) { Ok(octets) } else { Err(ProtocolError::NoRandomness) }
}

/// A key that both ends know.
#[derive(Clone)]
pub(super) struct SharedKey(Zeroizing<[u8; KEY]>);

impl SharedKey {
    /// The key of whoever has one of these secret keys and the public key of the other.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Undecipherable`] for a public key with which the outcome is known to everybody.
    pub(super) fn new(secret: &[u8; KEY], public: &[u8; KEY]) -> Result<Self, ProtocolError> {
        let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public));
        if !shared.was_contributory() {
            return Err(ProtocolError::Undecipherable);
        }
        Ok(Self(sub_key(shared.as_bytes(), &[0; 16])))
    }

    /// A key of one's own, for what one says to oneself.
    pub(super) fn own(octets: Zeroizing<[u8; KEY]>) -> Self {
        Self(octets)
    }

    /// The same key, for boxes whose nonces begin so.
    pub(super) fn with_prefix(&self, prefix: &'static [u8; 16]) -> PrefixedKey {
        PrefixedKey {
            key: self.clone(),
            prefix,
            sub_key: sub_key(&self.0, prefix),
            stream: Zeroizing::new([0; STREAM]),
        }
    }

    /// Appends a box around the parts in a row.
    pub(super) fn seal(&self, nonce: &[u8; NONCE], parts: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; TAG]);
        for part in parts {
            out.extend_from_slice(part);
        }
        if let Some((tag, text)) = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut) {
            self.seal_in_place(nonce, tag, text);
        }
    }

    /// What is in a box, which is opened in place.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Undecipherable`].
    pub(super) fn open<'a>(
        &self,
        nonce: &[u8; NONCE],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], ProtocolError> {
        let (tag, text) = sealed.split_first_chunk_mut().ok_or(ProtocolError::Undecipherable)?;
        self.open_in_place(nonce, tag, text)?;
        Ok(text)
    }

    /// Encrypts in place, and makes the tag.
    fn seal_in_place(&self, nonce: &[u8; NONCE], tag: &mut [u8; TAG], text: &mut [u8]) {
        crypto_box_detached_afternm_inplace(text, tag, nonce, &self.0);
    }

    /// Decrypts in place what has this tag.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Undecipherable`]; the text is as before.
    fn open_in_place(
        &self,
        nonce: &[u8; NONCE],
        tag: &[u8; TAG],
        text: &mut [u8],
    ) -> Result<(), ProtocolError> {
        crypto_box_open_detached_afternm_inplace(text, tag, nonce, &self.0)
            .map_err(|_| ProtocolError::Undecipherable)
    }
}

/// A key for boxes whose nonces differ in their last 8 octets only.
///
/// A nonce's first 16 octets make a sub-key, which for a short text takes as long as the text itself. dryoc makes it
/// anew for each box. So short texts get it made once, and the stream from salsa20, whose blocks come one by one; for
/// longer ones it is dryoc's blocks that count, of which it makes up to 16 at once.
pub(super) struct PrefixedKey {
    key: SharedKey,
    prefix: &'static [u8; 16],
    sub_key: Zeroizing<[u8; KEY]>,
    /// What the last short text was sealed or opened with. Kept, as to overwrite it costs more than to make a block.
    stream: Zeroizing<[u8; STREAM]>,
}

/// Octets of stream for the longest short text, and before it the key for its tag.
const STREAM: usize = KEY + SHORT_BOX_OCTETS;

impl PrefixedKey {
    /// Encrypts in place, and makes the tag.
    pub(super) fn seal(&mut self, number: u64, tag: &mut [u8; TAG], text: &mut [u8]) {
        if text.len() > SHORT_BOX_OCTETS {
            return self.key.seal_in_place(&short_nonce(self.prefix, number), tag, text);
        }
        let (tag_key, stream) = self.stream(number, text.len());
        apply(stream, text);
        crypto_onetimeauth(tag, text, tag_key);
    }

    /// Decrypts in place what has this tag.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Undecipherable`]; the text is as before.
    pub(super) fn open(
        &mut self,
        number: u64,
        tag: &[u8; TAG],
        text: &mut [u8],
    ) -> Result<(), ProtocolError> {
        if text.len() > SHORT_BOX_OCTETS {
            return self.key.open_in_place(&short_nonce(self.prefix, number), tag, text);
        }
        let (tag_key, stream) = self.stream(number, text.len());
        crypto_onetimeauth_verify(tag, text, tag_key).map_err(|_| ProtocolError::Undecipherable)?;
        apply(stream, text);
        Ok(())
    }

    /// The key for the tag of a short text, and the stream for the text.
    fn stream(&mut self, number: u64, octets: usize) -> (&[u8; KEY], &[u8]) {
        let number = number.to_be_bytes();
        let mut cipher = SalsaCore::<U10>::new((&*self.sub_key).into(), (&number).into());
        let (blocks, _) = Array::<u8, U64>::slice_as_chunks_mut(&mut *self.stream);
        for block in blocks.iter_mut().take((KEY + octets).div_ceil(64)) {
            cipher.write_keystream_block(block);
        }
        let Some(parts) = self.stream.split_first_chunk() else { unreachable!("it is longer than a key") };
        parts
    }
}

fn apply(stream: &[u8], text: &mut [u8]) {
    for (octet, mask) in text.iter_mut().zip(stream) {
        *octet ^= mask;
    }
}

fn sub_key(key: &[u8; KEY], prefix: &[u8; 16]) -> Zeroizing<[u8; KEY]> {
    let mut derived = Zeroizing::new([0; KEY]);
    crypto_core_hsalsa20(&mut derived, prefix, key, None);
    derived
}

/// A nonce of a prefix and a number: for what is said once with each number.
pub(super) fn short_nonce(prefix: &[u8; 16], number: u64) -> [u8; NONCE] {
    join(prefix, &number.to_be_bytes())
}

/// A nonce of a prefix and random octets.
pub(super) fn long_nonce(prefix: &[u8; 8], random: &[u8; 16]) -> [u8; NONCE] {
    join(prefix, random)
}

fn join(a: &[u8], b: &[u8]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    for (place, octet) in nonce.iter_mut().zip(a.iter().chain(b)) {
        *place = *octet;
    }
    nonce
}

#[cfg(test)]
mod tests {
    use poly1305::Poly1305;
    use poly1305::universal_hash::KeyInit as _;
    use salsa20::XSalsa20;
    use salsa20::cipher::StreamCipher as _;

    use super::*;

    const PREFIX: &[u8; 16] = b"CurveZMQMESSAGEC";

    /// The tag and the ciphertext, as two other crates make them.
    fn by_others(key: [u8; KEY], number: u64, text: &[u8]) -> ([u8; TAG], Vec<u8>) {
        let mut octets = [&[0; KEY], text].concat();
        XSalsa20::new(&Array(key), &Array(short_nonce(PREFIX, number))).apply_keystream(&mut octets);
        let (tag_key, text) = octets.split_first_chunk().unwrap();
        (Poly1305::new(&Array(*tag_key)).compute_unpadded(text).0, text.to_vec())
    }

    #[test]
    fn boxes_of_every_length_are_what_other_crates_make_of_them() {
        // C-36: short texts, long ones, and several times as many blocks as are made at once.
        let key: [u8; KEY] = [0x5A; KEY];
        let mut prefixed = SharedKey::own(Zeroizing::new(key)).with_prefix(PREFIX);
        for octets in (0..2 * SHORT_BOX_OCTETS).chain([1_000, 1_024, 4_097, 1 << 16]) {
            let number = (octets as u64) << 33 | 7;
            let plain: Vec<u8> = (0..=250).cycle().take(octets).collect();
            let (mut tag, mut text) = ([0; TAG], plain.clone());
            prefixed.seal(number, &mut tag, &mut text);
            assert!((tag, text.clone()) == by_others(key, number, &plain), "{octets}");

            let sealed = text.clone();
            assert_eq!(prefixed.open(number ^ 1, &tag, &mut text), Err(ProtocolError::Undecipherable));
            tag[octets % TAG] ^= 1;
            assert_eq!(prefixed.open(number, &tag, &mut text), Err(ProtocolError::Undecipherable));
            tag[octets % TAG] ^= 1;
            assert!(text == sealed, "what does not open is as before");
            assert_eq!(prefixed.open(number, &tag, &mut text), Ok(()));
            assert!(text == plain, "{octets}");
        }
    }
}
