//! Boxes: what NaCl's `crypto_box` and `crypto_secretbox` make, in place.
//!
//! A box is a tag of 16 octets and as many octets of ciphertext as there were of text: XSalsa20 and Poly1305 under a
//! key of both ends' making. What does not open is not touched, and nothing of it is seen.
//!
//! Source: RFC 26, "Cryptographic Box"; Bernstein, "Cryptography in NaCl".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use poly1305::universal_hash::{KeyInit as _, UniversalHash as _};
use poly1305::{Block, Poly1305};
use salsa20::cipher::array::Array;
use salsa20::cipher::consts::U10;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use salsa20::{Salsa20, hsalsa};
use subtle::ConstantTimeEq as _;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

use super::KEY;
use crate::error::ProtocolError;
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

    /// The key for all boxes whose nonces begin so.
    pub(super) fn with_prefix(&self, prefix: &[u8; 16]) -> PrefixedKey {
        PrefixedKey(sub_key(&self.0, prefix))
    }

    /// Appends a box around the parts in a row.
    pub(super) fn seal(&self, nonce: &[u8; NONCE], parts: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; TAG]);
        for part in parts {
            out.extend_from_slice(part);
        }
        if let Some((tag, text)) = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut) {
            let (prefix, number) = split_nonce(nonce);
            *tag = self.with_prefix(&prefix).seal(number, text);
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
        let (prefix, number) = split_nonce(nonce);
        self.with_prefix(&prefix).open(number, tag, text)?;
        Ok(text)
    }
}

/// A key for boxes whose nonces differ in their last 8 octets only: a part of the work is done once for all of them.
pub(super) struct PrefixedKey(Zeroizing<[u8; KEY]>);

impl PrefixedKey {
    /// Encrypts in place, and returns the tag.
    pub(super) fn seal(&self, number: [u8; 8], text: &mut [u8]) -> [u8; TAG] {
        let (mut cipher, key) = self.start(number);
        cipher.apply_keystream(text);
        tag(&key, text)
    }

    /// Decrypts in place what has this tag.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Undecipherable`]; the text is as before.
    pub(super) fn open(
        &self,
        number: [u8; 8],
        tag_shown: &[u8; TAG],
        text: &mut [u8],
    ) -> Result<(), ProtocolError> {
        let (mut cipher, key) = self.start(number);
        if bool::from(tag(&key, text).ct_eq(tag_shown)) {
            cipher.apply_keystream(text);
            Ok(())
        } else {
            Err(ProtocolError::Undecipherable)
        }
    }

    /// The stream of octets for a text, and before it the key for its tag.
    fn start(&self, number: [u8; 8]) -> (Salsa20, Zeroizing<[u8; KEY]>) {
        let mut cipher = Salsa20::new(&Array(*self.0), &Array(number));
        let mut key = Zeroizing::new([0; KEY]);
        cipher.apply_keystream(&mut *key);
        (cipher, key)
    }
}

fn tag(key: &[u8; KEY], text: &[u8]) -> [u8; TAG] {
    let mut hash = Poly1305::new(&Array(*key));
    let (blocks, rest) = Block::slice_as_chunks(text);
    hash.update(blocks);
    hash.compute_unpadded(rest).0
}

fn sub_key(key: &[u8; KEY], prefix: &[u8; 16]) -> Zeroizing<[u8; KEY]> {
    let mut derived = hsalsa::<U10>(&Array(*key), &Array(*prefix));
    let kept = Zeroizing::new(derived.0);
    derived.zeroize();
    kept
}

fn split_nonce(nonce: &[u8; NONCE]) -> ([u8; 16], [u8; 8]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, number @ ..] = *nonce;
    ([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p], number)
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
