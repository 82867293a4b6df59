//! An SDP offer, judged before a session is made of it (RFC 9725 §4.2, RFC 8829, RFC 9143).
//!
//! Only what decides whether the offer can be answered is read here; the negotiation itself is the WebRTC library's.

use crate::media::Kind;

/// The most media sections in an offer: one for sound, one for the picture.
const MAX_SECTIONS: usize = 2;
/// The most lines that are read; browsers send a few hundred.
const MAX_LINES: usize = 2000;
/// Longest line that is read, in bytes.
const MAX_LINE: usize = 1024;

/// Which way the media of an offer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The peer sends: WHIP.
    Publisher,
    /// The peer receives: WHEP.
    Viewer,
}

/// An offer that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The offer without its candidates: an ICE-lite server has no use for addresses that a request names.
    pub text: String,
    /// The media sections in order.
    pub sections: Vec<Section>,
    /// The peer's ICE name fragment.
    pub ufrag: String,
}

/// A media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Sound or picture.
    pub kind: Kind,
    /// Its name (`a=mid`).
    pub mid: String,
    /// The names of the codecs in it, in lower case, in the peer's order.
    pub codecs: Vec<String>,
    /// The payload type of redundant sound (RFC 2198), if it takes that.
    pub redundancy: Option<u8>,
}

/// Why an offer cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOffer {
    /// It is no SDP at all.
    #[error("the body is no SDP offer: it does not begin with v=0")]
    NoSdp,
    /// It has too many or too long lines.
    #[error("the offer has more than {MAX_LINES} lines, or one of more than {MAX_LINE} bytes")]
    TooLarge,
    /// It has too many media sections, or two of a kind.
    #[error("the offer has more than one audio and one video section")]
    Sections,
    /// It has no media section.
    #[error("the offer has no audio or video section")]
    NoMedia,
    /// It has a section that is neither audio nor video.
    #[error("the offer has a section that is neither audio nor video")]
    Foreign,
    /// A section lacks what it needs.
    #[error("the {kind} section has no {line}")]
    Missing {
        /// Which section.
        kind: &'static str,
        /// The line it lacks.
        line: &'static str,
    },
    /// The sections are not bundled.
    #[error("the sections are not in one a=group:BUNDLE with distinct names")]
    Bundle,
    /// The certificate's fingerprint has a weak hash.
    #[error("the fingerprint must be a SHA-256 or stronger")]
    Fingerprint,
    /// The media goes the wrong way.
    #[error("the {kind} section is {found}; it must be {wanted} here")]
    Direction {
        /// Which section.
        kind: &'static str,
        /// What the offer has.
        found: String,
        /// What is asked for.
        wanted: &'static str,
    },
}

/// What is gathered of a section, or of the session before the first.
#[derive(Default)]
struct Draft {
    media: Option<String>,
    mid: Option<String>,
    direction: Option<String>,
    codecs: Vec<String>,
    redundancy: Option<u8>,
    rtcp_mux: bool,
    ufrag: Option<String>,
    password: bool,
    fingerprint: Option<String>,
}

impl Offer {
    /// Reads an offer from a peer in this role.
    ///
    /// # Errors
    /// When it cannot be answered, with the reason in words.
    pub fn parse(text: &str, role: Role) -> Result<Self, InvalidOffer> {
        if !text.starts_with("v=0") {
            return Err(InvalidOffer::NoSdp);
        }
        let mut kept = String::with_capacity(text.len());
        let mut drafts = vec![Draft::default()];
        let mut bundle: Vec<&str> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if index >= MAX_LINES || line.len() > MAX_LINE {
                return Err(InvalidOffer::TooLarge);
            }
            if line.starts_with("a=candidate:") {
                continue;
            }
            kept.push_str(line);
            kept.push_str("\r\n");
            if let Some(media) = line.strip_prefix("m=") {
                if drafts.len() > MAX_SECTIONS {
                    return Err(InvalidOffer::Sections);
                }
                drafts.push(Draft { media: Some(media.to_owned()), ..Draft::default() });
            } else if let Some(mids) = line.strip_prefix("a=group:BUNDLE ") {
                bundle = mids.split_ascii_whitespace().collect();
            } else if let (Some(attribute), Some(draft)) = (line.strip_prefix("a="), drafts.last_mut()) {
                draft.read(attribute);
            }
        }
        let (session, media) = drafts.split_first().ok_or(InvalidOffer::NoMedia)?;
        let sections =
            media.iter().map(|draft| draft.finish(session, role)).collect::<Result<Vec<_>, _>>()?;
        let ufrag = drafts.iter().rev().find_map(|draft| draft.ufrag.clone()).unwrap_or_default();
        let distinct = |(index, section): (usize, &Section)| {
            bundle.contains(&section.mid.as_str())
                && sections[..index].iter().all(|other| other.mid != section.mid)
        };
        match sections.as_slice() {
            [] => Err(InvalidOffer::NoMedia),
            [one, two] if one.kind == two.kind => Err(InvalidOffer::Sections),
            // A single section needs no bundle, and some senders leave the line out then.
            [_] if bundle.is_empty() => Ok(Self { text: kept, sections, ufrag }),
            all if all.iter().enumerate().all(distinct) => Ok(Self { text: kept, sections, ufrag }),
            _ => Err(InvalidOffer::Bundle),
        }
    }

    /// The section of this kind.
    pub fn section(&self, kind: Kind) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }
}

impl Draft {
    fn read(&mut self, attribute: &str) {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name {
            "mid" => self.mid = Some(value.to_owned()),
            "sendrecv" | "sendonly" | "recvonly" | "inactive" => self.direction = Some(name.to_owned()),
            "rtcp-mux" => self.rtcp_mux = true,
            "ice-ufrag" => self.ufrag = Some(value.to_owned()).filter(|value| !value.is_empty()),
            "ice-pwd" => self.password = !value.is_empty(),
            "fingerprint" => self.fingerprint = value.split(' ').next().map(str::to_ascii_lowercase),
            "rtpmap" => {
                let Some((number, codec)) = value.split_once(' ') else { return };
                self.codecs.extend(codec.split('/').next().map(str::to_ascii_lowercase));
                if codec.eq_ignore_ascii_case("red/48000/2") {
                    self.redundancy = number.parse().ok().filter(|number| *number < 128);
                }
            }
            _ => {}
        }
    }

    fn finish(&self, session: &Self, role: Role) -> Result<Section, InvalidOffer> {
        let media = self.media.as_deref().unwrap_or_default();
        let (kind, name) = match media.split(' ').next() {
            Some("audio") => (Kind::Audio, "audio"),
            Some("video") => (Kind::Video, "video"),
            _ => return Err(InvalidOffer::Foreign),
        };
        let need =
            |there: bool, line| if there { Ok(()) } else { Err(InvalidOffer::Missing { kind: name, line }) };
        need(self.ufrag.is_some() || session.ufrag.is_some(), "a=ice-ufrag")?;
        need(self.password || session.password, "a=ice-pwd")?;
        need(self.rtcp_mux, "a=rtcp-mux")?;
        let fingerprint = self.fingerprint.as_ref().or(session.fingerprint.as_ref());
        need(fingerprint.is_some(), "a=fingerprint")?;
        if fingerprint.is_some_and(|hash| !matches!(hash.as_str(), "sha-256" | "sha-384" | "sha-512")) {
            return Err(InvalidOffer::Fingerprint);
        }
        let mid = self.mid.clone().ok_or(InvalidOffer::Missing { kind: name, line: "a=mid" })?;
        let found = self.direction.as_ref().or(session.direction.as_ref()).map_or("sendrecv", String::as_str);
        let wanted = match role {
            Role::Publisher => "sendonly",
            Role::Viewer => "recvonly",
        };
        if found != wanted && found != "sendrecv" {
            return Err(InvalidOffer::Direction { kind: name, found: found.to_owned(), wanted });
        }
        Ok(Section { kind, mid, codecs: self.codecs.clone(), redundancy: self.redundancy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=fingerprint:sha-256 AB:CD\r\na=setup:actpass\r\n";
    const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\n\
        a=rtpmap:111 opus/48000/2\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\n\
        a=rtpmap:96 H264/90000\r\na=rtpmap:97 rtx/90000\r\n";

    fn offer() -> String {
        [SESSION, AUDIO, VIDEO].concat()
    }

    #[test]
    fn an_offer_tells_its_sections_and_loses_its_candidates() {
        let offer = Offer::parse(&offer(), Role::Viewer).unwrap();
        assert_eq!(offer.section(Kind::Video).unwrap().codecs, ["h264", "rtx"]);
        assert_eq!(offer.section(Kind::Audio).unwrap().mid, "0");
        assert!(!offer.text.contains("candidate"), "{}", offer.text);
    }

    #[test]
    fn redundant_sound_is_found_by_its_payload_type() {
        let redundancy = |line: &str| {
            let text = offer().replace("a=rtpmap:111", &format!("a=rtpmap:{line}\r\na=rtpmap:111"));
            Offer::parse(&text, Role::Viewer).unwrap().section(Kind::Audio).unwrap().redundancy
        };
        assert_eq!(redundancy("63 red/48000/2"), Some(63));
        for none in ["63 red/8000", "163 red/48000/2", "x red/48000/2", "63"] {
            assert_eq!(redundancy(none), None, "{none}");
        }
    }

    #[test]
    fn b24_what_cannot_be_answered_is_refused_in_words() {
        let replaced = |from: &str, to: &str| offer().replace(from, to);
        let missing = |kind, line| InvalidOffer::Missing { kind, line };
        let endless = offer() + &"a=x\r\n".repeat(MAX_LINES);
        let twice = [SESSION, AUDIO, VIDEO, VIDEO].concat();
        for (text, error) in [
            ("", InvalidOffer::NoSdp),
            (SESSION, InvalidOffer::NoMedia),
            (&endless, InvalidOffer::TooLarge),
            (&offer().replace("s=-", &format!("s={}", "a".repeat(MAX_LINE))), InvalidOffer::TooLarge),
            (&twice, InvalidOffer::Sections),
            (&[SESSION, AUDIO, &AUDIO.replace("mid:0", "mid:1")].concat(), InvalidOffer::Sections),
            (&replaced("m=video", "m=application"), InvalidOffer::Foreign),
            (&replaced("a=group:BUNDLE 0 1\r\n", ""), InvalidOffer::Bundle),
            (&replaced("a=mid:1", "a=mid:0"), InvalidOffer::Bundle),
            (&replaced("a=rtcp-mux\r\n", ""), missing("audio", "a=rtcp-mux")),
            (&replaced("a=ice-ufrag:abcd\r\n", ""), missing("audio", "a=ice-ufrag")),
            (&replaced("a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n", ""), missing("audio", "a=ice-pwd")),
            (&replaced("a=fingerprint:sha-256 AB:CD\r\n", ""), missing("audio", "a=fingerprint")),
            (&replaced("a=mid:0\r\n", ""), missing("audio", "a=mid")),
            (&replaced("sha-256", "sha-1"), InvalidOffer::Fingerprint),
        ] {
            assert_eq!(Offer::parse(text, Role::Viewer), Err(error), "{text}");
        }
        let wrong_way = Offer::parse(&offer(), Role::Publisher).unwrap_err();
        assert_eq!(wrong_way.to_string(), "the audio section is recvonly; it must be sendonly here");
        let inactive = Offer::parse(&replaced("a=recvonly", "a=inactive"), Role::Viewer).unwrap_err();
        assert!(inactive.to_string().contains("inactive"), "{inactive}");
    }

    #[test]
    fn sound_alone_needs_no_bundle() {
        let text = [&SESSION.replace("a=group:BUNDLE 0 1\r\n", ""), AUDIO].concat();
        assert_eq!(Offer::parse(&text, Role::Viewer).unwrap().sections.len(), 1);
    }
}
