//! `application/trickle-ice-sdpfrag`: what a PATCH carries (RFC 8840 §9, RFC 9725 §4.3).

use std::fmt::Write as _;

/// Longest fragment that is read, in bytes.
pub const MAX_LENGTH: usize = 16 << 10;
/// The most candidates in a fragment.
const MAX_CANDIDATES: usize = 100;
/// Lengths of a name fragment and of a password (RFC 8839 §5.4).
const UFRAG: std::ops::RangeInclusive<usize> = 4..=256;
const PASSWORD: std::ops::RangeInclusive<usize> = 22..=256;

/// What the peer says: its credentials, and how many candidates it found.
///
/// The candidates themselves are not kept: the server is ICE-lite, so it answers checks and never sends one to an
/// address that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Name fragment and password; others than those of the offer ask for an ICE restart.
    pub credentials: Credentials,
    /// How many candidates came.
    pub candidates: usize,
}

/// ICE credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name fragment.
    pub ufrag: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Why a fragment cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFragment {
    /// It is too long.
    #[error("the fragment is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// There are no credentials, or they are not of a valid form.
    #[error("the fragment has no valid a=ice-ufrag and a=ice-pwd")]
    Credentials,
    /// There are too many candidates.
    #[error("the fragment has more than {MAX_CANDIDATES} candidates")]
    Candidates,
    /// A line is not of the form `x=…`.
    #[error("line {0} is not of the form x=…")]
    Line(usize),
}

impl Fragment {
    /// Reads a fragment.
    ///
    /// # Errors
    /// When it is no fragment, or exceeds a limit.
    pub fn parse(text: &str) -> Result<Self, InvalidFragment> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidFragment::TooLong);
        }
        let (mut ufrag, mut password, mut candidates) = (None, None, 0);
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let (kind, value) = line.split_once('=').ok_or(InvalidFragment::Line(index + 1))?;
            if kind.len() != 1 {
                return Err(InvalidFragment::Line(index + 1));
            }
            let Some((name, value)) = value.split_once(':').filter(|_| kind == "a") else { continue };
            match name {
                // With one bundle there is one transport; a media section may repeat what the session said.
                "ice-ufrag" => ufrag = Some(value),
                "ice-pwd" => password = Some(value),
                "candidate" => candidates += 1,
                _ => {}
            }
        }
        if candidates > MAX_CANDIDATES {
            return Err(InvalidFragment::Candidates);
        }
        let ufrag = ufrag.filter(|text| is_ice_text(text, UFRAG)).ok_or(InvalidFragment::Credentials)?;
        let password =
            password.filter(|text| is_ice_text(text, PASSWORD)).ok_or(InvalidFragment::Credentials)?;
        let credentials = Credentials { ufrag: ufrag.to_owned(), password: password.to_owned() };
        Ok(Self { credentials, candidates })
    }
}

/// `ice-char`s of an allowed number (RFC 8839 §5.4).
fn is_ice_text(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// The server's side of an ICE restart: its new credentials and all its candidates, each as in `a=candidate:…` but
/// without the `a=`.
pub fn write(mid: &str, credentials: &Credentials, candidates: &[String]) -> String {
    let Credentials { ufrag, password } = credentials;
    let mut text = format!(
        "a=ice-lite\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\n"
    );
    for candidate in candidates {
        // Writing into a String cannot fail.
        let _ = write!(text, "a={candidate}\r\n");
    }
    text.push_str("a=end-of-candidates\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn credentials_and_candidates_are_read_wherever_they_stand() {
        let text = format!(
            "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:Ab+/\r\na=ice-pwd:{PASSWORD}\r\n\
             a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n"
        );
        let fragment = Fragment::parse(&text).unwrap();
        assert_eq!(fragment.credentials, Credentials { ufrag: "Ab+/".into(), password: PASSWORD.into() });
        assert_eq!(fragment.candidates, 1);
        assert!(!format!("{fragment:?}").contains(PASSWORD), "passwords stay out of logs");
    }

    #[test]
    fn b25_what_is_no_fragment_is_refused() {
        let with = |ufrag: &str, password: &str| format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n");
        let many = with("abcd", PASSWORD)
            + &"a=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n".repeat(MAX_CANDIDATES + 1);
        for (text, error) in [
            ("", InvalidFragment::Credentials),
            (&with("abc", PASSWORD), InvalidFragment::Credentials),
            (&with("abcd", "short"), InvalidFragment::Credentials),
            (&with("ab\u{e4}cd", PASSWORD), InvalidFragment::Credentials),
            ("a=ice-ufrag:abcd\r\nnonsense\r\n", InvalidFragment::Line(2)),
            (&many, InvalidFragment::Candidates),
            (&"a".repeat(MAX_LENGTH + 1), InvalidFragment::TooLong),
        ] {
            assert_eq!(Fragment::parse(text), Err(error));
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let credentials = Credentials { ufrag: "abcd".into(), password: PASSWORD.into() };
        let candidates = ["candidate:1 1 udp 2130706431 192.0.2.1 8189 typ host".to_owned()];
        let text = write("0", &credentials, &candidates);
        assert_eq!(Fragment::parse(&text), Ok(Fragment { credentials, candidates: 1 }));
        assert!(text.contains("\r\na=candidate:1 1 udp"));
    }
}
