//! Pages that have been promised to draw overlays themselves: one signed word per page load, shown where they ask for the
//! picture without them.

use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::AdminToken;
use crate::clock;
use crate::media::ChannelName;

/// How long a page's word holds.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Id and end of validity, both in network order.
const BODY: usize = 16;
const TAG: usize = 16;

/// Signs and checks the words. Clones are the same.
#[derive(Clone)]
pub struct Pages(hmac::Key);

impl Pages {
    /// The signature's secret comes from the admin token: a restart changes nothing.
    pub fn new(token: &AdminToken) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &token.derive("onair page sessions")))
    }

    /// The word of a page that watches a channel.
    pub fn sign(&self, page: u64, channel: &ChannelName) -> String {
        let until = seconds(clock::wall() + LIFETIME);
        let mut body = [0; BODY];
        body[..8].copy_from_slice(&page.to_be_bytes());
        body[8..].copy_from_slice(&until.to_be_bytes());
        URL_SAFE_NO_PAD.encode([&body[..], &self.tag(&body, channel)].concat())
    }

    /// The page that has this word for the channel, if it is ours and holds.
    pub fn verify(&self, word: &str, channel: &ChannelName) -> Option<u64> {
        let bytes = URL_SAFE_NO_PAD.decode(word).ok()?;
        let (body, tag) = bytes.split_first_chunk::<BODY>()?;
        verify_slices_are_equal(&self.tag(body, channel), tag).ok()?;
        let (page, until) = body.split_first_chunk::<8>()?;
        let until = u64::from_be_bytes(until.try_into().ok()?);
        (seconds(clock::wall()) < until).then(|| u64::from_be_bytes(*page))
    }

    fn tag(&self, body: &[u8; BODY], channel: &ChannelName) -> [u8; TAG] {
        let signed = hmac::sign(&self.0, &[&body[..], channel.as_str().as_bytes()].concat());
        let mut tag = [0; TAG];
        tag.copy_from_slice(&signed.as_ref()[..TAG]);
        tag
    }
}

fn seconds(moment: SystemTime) -> u64 {
    u64::try_from(clock::unix_millis(moment) / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_for_its_channel_and_nobody_makes_one() {
        let pages = Pages::new(&AdminToken::for_tests());
        let (kitchen, garden) = ("kitchen".parse().unwrap(), "garden".parse().unwrap());
        let word = pages.sign(7, &kitchen);
        assert_eq!(pages.verify(&word, &kitchen), Some(7));
        assert_eq!(pages.verify(&word, &garden), None);
        for place in 0..word.len() {
            let mut changed = word.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(pages.verify(std::str::from_utf8(&changed).unwrap(), &kitchen), None);
        }
        for bad in ["", "AAAA", "€", &word[1..], &format!("{word}AAAA")] {
            assert_eq!(pages.verify(bad, &kitchen), None, "{bad}");
        }
    }
}
