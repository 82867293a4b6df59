//! Viewers in the browser: one signed id, by which a page is known again.

use std::fmt;

use aws_lc_rs::{hmac, rand};
use http::HeaderMap;
use http::header::COOKIE;

use super::{AdminToken, NoRandomness};

/// The cookie's name.
const COOKIE_NAME: &str = "onair-viewer";
/// How long a viewer is known: a year, or as long as the browser keeps it.
const LIFETIME_SECONDS: u64 = 366 * 24 * 60 * 60;
/// Of an id, and of its signature, in bytes.
const LEN: usize = 16;

/// A viewer's id: 128 random bits that only the viewer and the server know. What others see is derived from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewerId([u8; LEN]);

impl fmt::Debug for ViewerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ViewerId")
    }
}

/// Signs and knows viewers. Clones are the same.
#[derive(Clone)]
pub struct Viewers {
    cookies: hmac::Key,
    names: hmac::Key,
    seals: hmac::Key,
}

impl Viewers {
    /// The signature's secret comes from the admin token: a restart changes nothing, a new token makes all viewers new.
    pub fn new(token: &AdminToken) -> Self {
        let derive = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, &token.derive(purpose));
        Self {
            cookies: derive("onair viewer cookies"),
            names: derive("onair viewer public ids"),
            seals: derive("onair viewer seals"),
        }
    }

    /// The viewer that a request's cookie names, if the signature is ours.
    pub fn of(&self, headers: &HeaderMap) -> Option<ViewerId> {
        cookies(headers).find_map(|value| {
            let (id, signature) = value.split_once('.')?;
            let (id, signature) = (from_hex(id)?, from_hex(signature)?);
            let expected = hmac::sign(&self.cookies, &id);
            let same =
                aws_lc_rs::constant_time::verify_slices_are_equal(&expected.as_ref()[..LEN], &signature);
            same.is_ok().then_some(ViewerId(id))
        })
    }

    /// Whether a request shows a cookie of ours at all, right or wrong.
    pub fn shown(headers: &HeaderMap) -> bool {
        cookies(headers).next().is_some()
    }

    /// A new viewer.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new_viewer(&self) -> Result<ViewerId, NoRandomness> {
        let mut id = [0; LEN];
        rand::fill(&mut id).map_err(|_| NoRandomness)?;
        Ok(ViewerId(id))
    }

    /// The `Set-Cookie` header by which a browser is known; `secure` where it came over TLS.
    pub fn cookie(&self, viewer: ViewerId, secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        let signature = hmac::sign(&self.cookies, &viewer.0);
        let (id, signature) = (to_hex(&viewer.0), to_hex(&signature.as_ref()[..LEN]));
        format!(
            "{COOKIE_NAME}={id}.{signature}; Path=/; Max-Age={LIFETIME_SECONDS}; HttpOnly; SameSite=Strict{secure}"
        )
    }

    /// What others may see of a viewer: tells the id to nobody.
    pub fn public(&self, viewer: ViewerId) -> u64 {
        self.derived(b"viewer\n", &viewer.0)
    }

    /// The same for somebody whom another site vouches for.
    pub fn public_of_subject(&self, issuer: &str, subject: &str) -> u64 {
        // The length keeps the two apart.
        self.derived(b"subject\n", format!("{}\n{issuer}{subject}", issuer.len()).as_bytes())
    }

    /// Signs a text that we will want to know again as ours.
    pub fn seal(&self, text: &str) -> String {
        format!("{text}.{}", to_hex(&hmac::sign(&self.seals, text.as_bytes()).as_ref()[..LEN]))
    }

    /// The text, if the signature is ours.
    pub fn unseal<'a>(&self, sealed: &'a str) -> Option<&'a str> {
        let (text, signature) = sealed.rsplit_once('.')?;
        let expected = hmac::sign(&self.seals, text.as_bytes());
        let signature = from_hex(signature)?;
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(&expected.as_ref()[..LEN], &signature);
        same.is_ok().then_some(text)
    }

    fn derived(&self, kind: &[u8], secret: &[u8]) -> u64 {
        let tag = hmac::sign(&self.names, &[kind, secret].concat());
        let mut first = [0; 8];
        first.copy_from_slice(&tag.as_ref()[..8]);
        u64::from_be_bytes(first)
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; LEN]> {
    let mut bytes = [0; LEN];
    if text.len() != 2 * LEN {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::Digest;
    use super::*;

    fn viewers(token: &str) -> Viewers {
        Viewers::new(&AdminToken(Digest::of(token)))
    }

    fn request(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = cookie.split(';').next().unwrap_or_default();
        headers.insert(COOKIE, format!("a=b; {pair}").parse().unwrap());
        headers
    }

    #[test]
    fn a_viewer_is_known_again_and_nobody_can_be_another() {
        let ours = viewers("token");
        let (one, other) = (ours.new_viewer().unwrap(), ours.new_viewer().unwrap());
        let cookie = ours.cookie(one, true);
        assert!(cookie.contains("HttpOnly; SameSite=Strict; Secure"));
        assert!(ours.of(&request(&cookie)) == Some(one) && one != other);
        assert_ne!(ours.public(one), ours.public(other));
        assert_eq!(viewers("token").of(&request(&cookie)), Some(one), "a restart changes nothing");
        assert_eq!(viewers("other").of(&request(&cookie)), None);
        let forged = cookie.replacen("onair-viewer=", "onair-viewer=0", 1);
        for bad in ["", "onair-viewer=", "onair-viewer=.", "onair-viewer=zz.zz", &forged] {
            assert_eq!(ours.of(&request(bad)), None, "{bad}");
        }
        assert!(Viewers::shown(&request(&forged)) && !Viewers::shown(&request("other=1")));
    }

    #[test]
    fn subjects_of_two_sites_are_two_people() {
        let viewers = viewers("token");
        let id = |issuer, subject| viewers.public_of_subject(issuer, subject);
        assert_eq!(id("a.example", "7"), id("a.example", "7"));
        assert_ne!(id("a.example", "7"), id("b.example", "7"));
        assert_ne!(id("a", "bc"), id("ab", "c"));
    }

    #[test]
    fn a_seal_cannot_be_moved() {
        let viewers = viewers("token");
        let sealed = viewers.seal("kitchen.1.2");
        assert_eq!(viewers.unseal(&sealed), Some("kitchen.1.2"));
        for bad in ["", "kitchen.1.2", &sealed.replacen("kitchen", "garden", 1), &sealed[..sealed.len() - 1]]
        {
            assert_eq!(viewers.unseal(bad), None, "{bad}");
        }
    }
}
