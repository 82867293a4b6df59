//! Broadcasters in the browser: the stream key is shown once, and a cookie stands for it from then on.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};

use super::{AdminToken, StreamKeys};
use crate::clock;
use crate::media::ChannelName;

/// How long a broadcaster stays signed in.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A cookie's name is this and the channel.
const COOKIE_PREFIX: &str = "onair-studio-";

/// Signs and checks the cookies. Clones are the same.
///
/// A cookie says until when it holds, and is signed over the channel and its key: rotating the key ends all of them, and
/// so does a new admin token; a restart does not.
#[derive(Clone)]
pub struct Studio {
    secret: hmac::Key,
    keys: StreamKeys,
}

impl Studio {
    /// For the channels of these keys; the signature's secret comes from the admin token.
    pub fn new(token: &AdminToken, keys: StreamKeys) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &token.derive("onair studio cookies"));
        Self { secret, keys }
    }

    /// The `Set-Cookie` header that signs somebody in who has shown the channel's key; `None` when the channel has none.
    /// `secure` where the page came over TLS.
    pub fn sign_in(&self, channel: &ChannelName, secure: bool) -> Option<String> {
        let expires = seconds(clock::wall() + LIFETIME);
        let signature = self.signature(channel, expires)?;
        let secure = if secure { "; Secure" } else { "" };
        let lifetime = LIFETIME.as_secs();
        Some(format!(
            "{COOKIE_PREFIX}{channel}={expires}.{signature}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Strict{secure}"
        ))
    }

    /// The `Set-Cookie` header that signs out.
    pub fn sign_out(channel: &ChannelName) -> String {
        format!("{COOKIE_PREFIX}{channel}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
    }

    /// Whether a request comes from somebody who is signed in to the channel's studio.
    pub fn is_signed_in(&self, channel: &ChannelName, headers: &HeaderMap) -> bool {
        let name = format!("{COOKIE_PREFIX}{channel}");
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(found, _)| *found == name)
            .any(|(_, value)| self.holds(channel, value))
    }

    fn holds(&self, channel: &ChannelName, value: &str) -> bool {
        let Some((expires, signature)) = value.split_once('.') else { return false };
        let Ok(expires) = expires.parse::<u64>() else { return false };
        let (Some(key), Some(signature)) = (self.keys.digest_of(channel), from_hex(signature)) else {
            return false;
        };
        let message = message(channel, expires, key.as_bytes());
        expires > seconds(clock::wall()) && hmac::verify(&self.secret, &message, &signature).is_ok()
    }

    fn signature(&self, channel: &ChannelName, expires: u64) -> Option<String> {
        let key = self.keys.digest_of(channel)?;
        let tag = hmac::sign(&self.secret, &message(channel, expires, key.as_bytes()));
        let mut text = String::with_capacity(tag.as_ref().len() * 2);
        for byte in tag.as_ref() {
            write!(text, "{byte:02x}").ok()?;
        }
        Some(text)
    }
}

/// The token of `Authorization: Bearer TOKEN`, when there is exactly one such header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let (scheme, token) = shown.next()?.to_str().ok()?.split_once(' ')?;
    (shown.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim_start())
}

fn message(channel: &ChannelName, expires: u64, key: &[u8]) -> Vec<u8> {
    // The name has no line break and the number is decimal: no two messages are written alike.
    let mut message = format!("{channel}\n{expires}\n").into_bytes();
    message.extend_from_slice(key);
    message
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(&pair[0])? << 4 | digit(pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{AccessKey, Digest};
    use super::*;

    fn studio() -> (Studio, StreamKeys, ChannelName) {
        let keys = StreamKeys::default();
        let channel: ChannelName = "kitchen".parse().unwrap();
        keys.set(&channel, AccessKey::generate().unwrap().digest());
        (Studio::new(&AdminToken(Digest::of("token")), keys.clone()), keys, channel)
    }

    fn request(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = cookie.split(';').next().unwrap();
        headers.insert(COOKIE, format!("theme=dark; {pair}").parse().unwrap());
        headers
    }

    #[test]
    fn a_cookie_signs_in_to_its_channel_until_the_key_is_rotated() {
        let (studio, keys, channel) = studio();
        let cookie = studio.sign_in(&channel, true).unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Strict; Secure"), "{cookie}");
        assert!(studio.is_signed_in(&channel, &request(&cookie)));
        let other: ChannelName = "garden".parse().unwrap();
        keys.set(&other, AccessKey::generate().unwrap().digest());
        let moved = cookie.replace("kitchen", "garden");
        assert!(
            !studio.is_signed_in(&other, &request(&cookie)) && !studio.is_signed_in(&other, &request(&moved))
        );
        keys.set(&channel, AccessKey::generate().unwrap().digest());
        assert!(!studio.is_signed_in(&channel, &request(&cookie)));
    }

    #[test]
    fn b34_forged_and_outdated_cookies_open_nothing() {
        let (studio, _, channel) = studio();
        let cookie = studio.sign_in(&channel, false).unwrap();
        let past = format!("{COOKIE_PREFIX}kitchen=1.{}", studio.signature(&channel, 1).unwrap());
        let longer = cookie.replacen("kitchen=1", "kitchen=2", 1);
        for bad in [
            "",
            "onair-studio-kitchen=",
            "onair-studio-kitchen=9.zz",
            "onair-studio-kitchen=9999999999.",
            &past,
            &longer,
        ] {
            assert!(!studio.is_signed_in(&channel, &request(bad)), "{bad}");
        }
        assert!(!studio.is_signed_in(&channel, &request(&Studio::sign_out(&channel))));
    }

    #[test]
    fn a_bearer_token_is_read_when_there_is_exactly_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert(AUTHORIZATION, "bearer  key".parse().unwrap());
        assert_eq!(bearer(&headers), Some("key"));
        headers.append(AUTHORIZATION, "Bearer other".parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
