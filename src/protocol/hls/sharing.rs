//! What a variant of the programme has in common with everybody's: outside slots all of it, so that caches keep it once.
//!
//! Shared is what has the same bytes, and nothing else. Where it is listed depends on it being there already: everybody's
//! variant goes ahead.

use super::media_playlist::{MediaPlaylist, Part, Position, Segment};

/// Looks in `original` for the parts of a segment from index `from` on, and for the segment as a whole once it is complete.
/// Whatever is there too is kept in one place from now on.
pub(super) fn share(segment: &mut Segment, from: usize, original: &MediaPlaylist) {
    for part in segment.parts.iter_mut().skip(from) {
        if let Some((position, same)) = counterpart(part, original) {
            part.bytes = same.bytes.clone();
            part.same_as = Some(position);
        }
    }
    if segment.duration.is_some() {
        segment.same_as = whole(&segment.parts, original);
    }
}

/// The same part in another variant.
fn counterpart<'a>(part: &Part, original: &'a MediaPlaylist) -> Option<(Position, &'a Part)> {
    let began = |segment: &Segment| segment.parts.first().is_some_and(|first| first.start <= part.start);
    let segment = original.segments().iter().rev().find(|segment| began(segment))?;
    let is_same = |other: &Part| other.start == part.start && other.bytes == part.bytes;
    let index = segment.parts.iter().position(is_same)?;
    Some((Position { msn: segment.msn, part: index }, &segment.parts[index]))
}

/// The segment that is complete in another variant and has these parts, all of them and no others.
fn whole(parts: &[Part], original: &MediaPlaylist) -> Option<u64> {
    let first = parts.first()?.same_as?;
    let segment = original.segment(first.msn).filter(|segment| segment.duration.is_some())?;
    let is_at =
        |(index, part): (usize, &Part)| part.same_as == Some(Position { msn: first.msn, part: index });
    (segment.parts.len() == parts.len() && parts.iter().enumerate().all(is_at)).then_some(first.msn)
}
