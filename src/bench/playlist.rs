//! What a player of low-latency HLS reads out of playlists (RFC 8216bis).

use std::str::FromStr;

/// A media playlist, as far as a player at the live edge needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Playlist {
    /// All parts that are listed, oldest first.
    pub parts: Vec<Part>,
    /// The place of the part that comes next.
    pub next: Place,
    /// The server holds requests for what is not there yet.
    pub blocks: bool,
    /// The server can leave out what is old.
    pub skips: bool,
    /// Where the init segment is.
    pub map: Option<String>,
}

/// The place of a part: its segment's number, and its own in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Media sequence number.
    pub msn: u64,
    /// Index in the segment.
    pub part: u64,
}

/// A part that is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it stands.
    pub place: Place,
    /// Where it is.
    pub uri: String,
    /// It begins with a keyframe.
    pub independent: bool,
}

impl Playlist {
    /// Reads a media playlist; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut playlist = Self::default();
        let mut lines = text.lines();
        lines.next().filter(|line| line.starts_with("#EXTM3U"))?;
        for line in lines {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-MEDIA-SEQUENCE" => playlist.next.msn = value.parse().ok()?,
                "#EXT-X-SKIP" => playlist.next.msn += attribute::<u64>(value, "SKIPPED-SEGMENTS")?,
                "#EXT-X-SERVER-CONTROL" => {
                    playlist.blocks =
                        attribute::<String>(value, "CAN-BLOCK-RELOAD").as_deref() == Some("YES");
                    playlist.skips = attribute::<String>(value, "CAN-SKIP-UNTIL").is_some();
                }
                "#EXT-X-MAP" => playlist.map = attribute(value, "URI"),
                "#EXT-X-PART" => {
                    let independent = attribute::<String>(value, "INDEPENDENT").as_deref() == Some("YES");
                    playlist.parts.push(Part {
                        place: playlist.next,
                        uri: attribute(value, "URI")?,
                        independent,
                    });
                    playlist.next.part += 1;
                }
                // The URI of a segment stands behind its parts.
                uri if !uri.is_empty() && !uri.starts_with('#') => {
                    playlist.next = Place { msn: playlist.next.msn + 1, part: 0 };
                }
                _ => {}
            }
        }
        Some(playlist)
    }

    /// The first media playlist that a multivariant playlist names.
    pub fn first_variant(multivariant: &str) -> Option<&str> {
        let mut lines = multivariant.lines().skip_while(|line| !line.starts_with("#EXT-X-STREAM-INF:"));
        lines.find(|line| !line.is_empty() && !line.starts_with('#'))
    }
}

/// The value of an attribute in an attribute list, without quotation marks.
fn attribute<T: FromStr>(list: &str, name: &str) -> Option<T> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key == name {
            return value.parse().ok();
        }
        rest = tail.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYLIST: &str = r#"#EXTM3U
#EXT-X-VERSION:10
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6,CAN-SKIP-UNTIL=12
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="init-0.mp4"
#EXTINF:2.0,
7.m4s
#EXT-X-PART:DURATION=0.2,URI="8.0,x.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="8.1.m4s"
#EXTINF:0.4,
8.m4s
#EXT-X-PART:DURATION=0.2,URI="9.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="9.1.m4s"
"#;

    #[test]
    fn parts_have_their_places() {
        let playlist = Playlist::parse(PLAYLIST).unwrap();
        let place = |msn, part| Place { msn, part };
        let part = |msn, number, uri: &str, independent| Part {
            place: place(msn, number),
            uri: uri.to_owned(),
            independent,
        };
        assert_eq!(
            playlist.parts,
            [part(8, 0, "8.0,x.m4s", true), part(8, 1, "8.1.m4s", false), part(9, 0, "9.0.m4s", true)]
        );
        assert_eq!(playlist.next, place(9, 1));
        assert!(playlist.blocks && playlist.skips);
        assert_eq!(playlist.map.as_deref(), Some("init-0.mp4"));
    }

    #[test]
    fn what_was_left_out_of_a_delta_update_counts() {
        let delta = PLAYLIST.replace("#EXTINF:2.0,\n7.m4s", "#EXT-X-SKIP:SKIPPED-SEGMENTS=1");
        assert_eq!(Playlist::parse(&delta).unwrap().next, Place { msn: 9, part: 1 });
    }

    #[test]
    fn other_texts_are_no_playlists() {
        assert_eq!(Playlist::parse("<html>"), None);
        assert_eq!(Playlist::parse(""), None);
        assert_eq!(Playlist::parse("#EXTM3U\n#EXT-X-PART:DURATION=1"), None);
    }

    #[test]
    fn the_first_variant_is_taken() {
        let text =
            "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO\n#EXT-X-STREAM-INF:BANDWIDTH=1\n\nmain/index.m3u8\nother.m3u8";
        assert_eq!(Playlist::first_variant(text), Some("main/index.m3u8"));
        assert_eq!(Playlist::first_variant("#EXTM3U"), None);
    }
}
