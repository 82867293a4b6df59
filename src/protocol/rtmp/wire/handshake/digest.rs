//! The signed handshake of Flash-era peers: a digest of HMAC-SHA256 hidden in C1, answered by one in S1 and a
//! signature in S2. It is not in the specification; the keys and the two places of the digest are common knowledge.

use std::ops::Range;

use aws_lc_rs::hmac;

use super::{PACKET_LENGTH, RANDOM_LENGTH};

const DIGEST_LENGTH: usize = 32;

/// Signs C1.
const PLAYER_KEY: &[u8] = b"Genuine Adobe Flash Player 001";

/// Signs S1.
const SERVER_KEY: &[u8] = b"Genuine Adobe Flash Media Server 001";

/// Appended to either key for the signatures of C2 and S2.
const KEY_SUFFIX: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e,
    0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];

/// A version of a server that knows signatures: anything but zero says so.
const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];

/// Where the four bytes stand whose sum places the digest, and where the area of the digest begins. The area with
/// the key of RTMPE comes after the digest's in one scheme and before it in the other.
const SCHEMES: [(usize, usize); 2] = [(8, 12), (772, 776)];

/// The digest lies in an area of 764 bytes: 4 for its place, then 760 minus its own length.
const PLACES: usize = 728;

/// S1 and S2 for a client that signed its C1.
pub(super) struct SignedAnswer {
    pub(super) s1: [u8; PACKET_LENGTH],
    pub(super) s2: [u8; PACKET_LENGTH],
}

/// The answer to `c1` if it is signed, in either scheme; `None` for a plain client.
pub(super) fn answer(c1: &[u8], random: &[u8; RANDOM_LENGTH]) -> Option<SignedAnswer> {
    // Plain clients send four zero bytes in place of their version.
    if c1.get(4..8)? == [0; 4] {
        return None;
    }
    let (scheme, client_digest) = SCHEMES.into_iter().find_map(|scheme| {
        let place = digest_place(c1, scheme)?;
        let digest = c1.get(place.clone())?;
        (packet_digest(PLAYER_KEY, c1, place)?.as_ref() == digest).then_some((scheme, digest))
    })?;

    let mut s1 = [0; PACKET_LENGTH];
    s1[4..8].copy_from_slice(&SERVER_VERSION);
    s1[8..].copy_from_slice(random);
    let place = digest_place(&s1, scheme)?;
    let digest = packet_digest(SERVER_KEY, &s1, place.clone())?;
    s1.get_mut(place)?.copy_from_slice(digest.as_ref());

    // S2 is random but for its end, which signs it with a key made from the client's digest.
    let mut s2 = [0; PACKET_LENGTH];
    s2[8..].copy_from_slice(random);
    let full_key = [SERVER_KEY, &KEY_SUFFIX[..]].concat();
    let key = sign(&full_key, &[client_digest]);
    let (signed, signature) = s2.split_last_chunk_mut::<DIGEST_LENGTH>()?;
    signature.copy_from_slice(sign(key.as_ref(), &[signed]).as_ref());
    Some(SignedAnswer { s1, s2 })
}

fn digest_place(packet: &[u8], (sum_at, area): (usize, usize)) -> Option<Range<usize>> {
    let sum: usize = packet.get(sum_at..sum_at + 4)?.iter().map(|byte| usize::from(*byte)).sum();
    let start = area + sum % PLACES;
    Some(start..start + DIGEST_LENGTH)
}

/// The digest of a packet over everything but the place of the digest itself.
fn packet_digest(key: &[u8], packet: &[u8], place: Range<usize>) -> Option<hmac::Tag> {
    Some(sign(key, &[packet.get(..place.start)?, packet.get(place.end..)?]))
}

fn sign(key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    context.sign()
}

#[cfg(test)]
pub(super) mod tests {
    //! A client that signs, to test the server against.

    use super::*;

    /// C1 of a client that signs in scheme 0 or 1.
    pub(in super::super) fn signed_c1(scheme: usize, random: &[u8; RANDOM_LENGTH]) -> Option<Vec<u8>> {
        let mut c1 = [&[0, 0, 0, 0, 10, 0, 45, 2][..], random].concat();
        let place = digest_place(&c1, *SCHEMES.get(scheme)?)?;
        let digest = packet_digest(PLAYER_KEY, &c1, place.clone())?;
        c1.get_mut(place)?.copy_from_slice(digest.as_ref());
        Some(c1)
    }

    /// Whether S1 and S2 are signed for this C1.
    pub(in super::super) fn answer_is_signed(scheme: usize, c1: &[u8], s1: &[u8], s2: &[u8]) -> Option<bool> {
        let scheme = *SCHEMES.get(scheme)?;
        let place = digest_place(s1, scheme)?;
        let s1_signed = packet_digest(SERVER_KEY, s1, place.clone())?.as_ref() == s1.get(place)?;
        let full_key = [SERVER_KEY, &KEY_SUFFIX[..]].concat();
        let key = sign(&full_key, &[c1.get(digest_place(c1, scheme)?)?]);
        let (signed, signature) = s2.split_last_chunk::<DIGEST_LENGTH>()?;
        Some(s1_signed && sign(key.as_ref(), &[signed]).as_ref() == signature)
    }
}
