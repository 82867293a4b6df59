//! The clip as an endless sequence of tags that is in step with the wall clock.

use crate::format::flv::file::{FileError, Reader, Tag, TagKind};

/// The clip's length: whole minutes, because its picture shows the second of the minute, and whole AAC frames, which
/// one minute is not.
const LOOP_MS: u64 = 120_000;

/// The largest tag of the clip is a keyframe of some ten kilobytes.
const MAX_TAG: usize = 1 << 20;

/// The clip, taken apart.
#[derive(Debug)]
pub struct Clip {
    /// Decoder configurations, which have to come first.
    pub configuration: Vec<Tag>,
    frames: Vec<Tag>,
}

/// A tag of the endless sequence.
#[derive(Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// When it is due, in milliseconds since the wall clock's epoch.
    pub at_ms: u64,
    /// What is due.
    pub tag: &'a Tag,
}

impl Clip {
    /// Takes the file apart.
    ///
    /// # Errors
    /// When it is no FLV.
    pub fn read(file: &[u8]) -> Result<Self, FileError> {
        let mut reader = Reader::new(MAX_TAG);
        reader.push(file);
        let (mut configuration, mut frames) = (Vec::new(), Vec::new());
        while let Some(tag) = reader.next_tag()? {
            match tag.kind {
                TagKind::Script => {}
                // FFmpeg begins and ends a file with an empty configuration of the sound.
                _ if is_configuration(&tag) => {
                    configuration.extend(Some(tag).filter(|tag| tag.body.len() > 2))
                }
                TagKind::Audio | TagKind::Video => frames.push(tag),
            }
        }
        frames.retain(|tag| u64::from(tag.timestamp_ms) < LOOP_MS && !is_end_of_sequence(tag));
        Ok(Self { configuration, frames })
    }

    /// The tags from the first keyframe on that is due at or after `now_ms`, milliseconds since the wall clock's epoch.
    pub fn from(&self, now_ms: u64) -> impl Iterator<Item = Due<'_>> {
        let first = now_ms - now_ms % LOOP_MS;
        (0_u64..)
            .flat_map(move |round| {
                let start = first + round * LOOP_MS;
                self.frames.iter().map(move |tag| Due { at_ms: start + u64::from(tag.timestamp_ms), tag })
            })
            .skip_while(move |due| due.at_ms < now_ms || !is_keyframe(due.tag))
    }
}

/// `AVCPacketType` and `AACPacketType` 0 (FLV 10.1 §E.4.2.1, §E.4.3.1): the clip has H.264 and AAC.
fn is_configuration(tag: &Tag) -> bool {
    tag.body.get(1) == Some(&0)
}

fn is_end_of_sequence(tag: &Tag) -> bool {
    tag.kind == TagKind::Video && tag.body.get(1) == Some(&2)
}

fn is_keyframe(tag: &Tag) -> bool {
    tag.kind == TagKind::Video && tag.body.first().is_some_and(|byte| byte >> 4 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clip_goes_on_for_ever_in_step_with_the_wall_clock() {
        let clip = Clip::read(super::super::CLIP).unwrap();
        assert_eq!(clip.configuration.len(), 2, "one of the picture and one of the sound");
        let now = 1_800_000_000_000 + 58_500;
        let due: Vec<_> = clip.from(now).take(40_000).collect();
        assert!(is_keyframe(due[0].tag) && (now..now + 2_000).contains(&due[0].at_ms));
        for kind in [TagKind::Video, TagKind::Audio] {
            let times: Vec<u64> =
                due.iter().filter(|due| due.tag.kind == kind).map(|due| due.at_ms).collect();
            let longest = times.windows(2).map(|pair| pair[1].checked_sub(pair[0]).unwrap()).max().unwrap();
            assert!(longest <= 50, "a hole of {longest} ms where the loop closes");
            assert!(times.last().unwrap() - times[0] > 2 * LOOP_MS);
        }
        for due in &due {
            assert_eq!(
                due.at_ms % LOOP_MS,
                u64::from(due.tag.timestamp_ms),
                "the picture shows the true second"
            );
        }
    }
}
