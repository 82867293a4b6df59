//! Renditions and their files, by name.

use std::fmt;

use super::media_playlist::Position;

/// The main rendition's name.
pub(super) const MAIN: &str = "main";

/// The folder of a rendition: its name for everybody's variant of the programme, `main` or `audioN`; with the variant's
/// number behind it for the others, `main.1`.
pub(super) fn folder(rendition: &str, variant: u8) -> String {
    if variant == 0 { rendition.to_owned() } else { format!("{rendition}.{variant}") }
}

/// The rendition that a folder belongs to, whatever the variant.
pub(super) fn rendition_of(folder: &str) -> &str {
    folder.split_once('.').map_or(folder, |(rendition, _)| rendition)
}

/// What a rendition's folder holds. Each file is listed under exactly one name, so that a cache keeps it once: what a variant of
/// the programme has in common with everybody's, under the name that it has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `index.m3u8`: the media playlist.
    Playlist,
    /// `initN.mp4`: an init segment.
    Init(u32),
    /// `MSN.m4s`: a segment.
    Segment(u64),
    /// `MSN.PART.m4s`: a part of a segment.
    Part(Position),
}

impl Resource {
    /// The file of this name, if there can be one.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "index.m3u8" {
            return Some(Self::Playlist);
        }
        if let Some(number) = name.strip_prefix("init").and_then(|rest| rest.strip_suffix(".mp4")) {
            return Some(Self::Init(u32::try_from(decimal(number)?).ok()?));
        }
        let numbers = name.strip_suffix(".m4s")?;
        let Some((msn, part)) = numbers.split_once('.') else {
            return Some(Self::Segment(decimal(numbers)?));
        };
        Some(Self::Part(Position { msn: decimal(msn)?, part: usize::try_from(decimal(part)?).ok()? }))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Playlist => f.write_str("index.m3u8"),
            Self::Init(number) => write!(f, "init{number}.mp4"),
            Self::Segment(msn) => write!(f, "{msn}.m4s"),
            Self::Part(Position { msn, part }) => write!(f, "{msn}.{part}.m4s"),
        }
    }
}

/// A number written the one way we write it.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_one_name() {
        let part = Resource::Part(Position { msn: 12, part: 3 });
        for resource in [Resource::Playlist, Resource::Init(1), Resource::Segment(0), part] {
            assert_eq!(Resource::parse(&resource.to_string()), Some(resource));
        }
    }

    #[test]
    fn b26_names_that_are_not_ours_name_nothing() {
        for name in [
            "",
            ".m4s",
            "..m4s",
            "01.m4s",
            "+1.m4s",
            "-1.m4s",
            "1.02.m4s",
            "1.2.3.m4s",
            "../1.m4s",
            "init.mp4",
            "init00.mp4",
            "init99999999999.mp4",
            "18446744073709551616.m4s",
            "1.m4s/",
            "index.m3u8?",
            "1%2e2.m4s",
        ] {
            assert_eq!(Resource::parse(name), None, "{name}");
        }
    }
}
