//! Blocking playlist reloads: what a request asks for, and whether the playlist can answer yet (RFC 8216bis §6.2.5).

use super::media_playlist::{MediaPlaylist, Position};
use super::playlist::Form;
use super::resource::decimal;

/// A request for a media playlist, by its query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reload {
    /// The answer must contain this segment, complete, or this part or a later one.
    pub wanted: Option<Wanted>,
    /// Which form of the playlist.
    pub form: Form,
}

/// What a blocking reload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A complete segment.
    Segment(u64),
    /// A part, or whatever follows it where it turns out not to exist.
    Part(u64, u64),
}

/// Why a request for a media playlist cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadReload {
    /// Not a number, or given twice.
    #[error("_HLS_msn and _HLS_part are whole numbers from 0, given at most once")]
    Number,
    /// A part of no segment.
    #[error("_HLS_part needs _HLS_msn")]
    PartAlone,
    /// Farther ahead than a player can know of.
    #[error("this segment or part is too far in the future")]
    TooFarAhead,
}

/// Whether a playlist can answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Answer now.
    Ready,
    /// Ask again when the playlist has changed.
    Wait,
}

impl Reload {
    /// Reads a request's query. Unknown parameters mean nothing here.
    ///
    /// # Errors
    /// [`BadReload`] when the directives make no sense.
    pub fn parse(query: &str) -> Result<Self, BadReload> {
        let (mut msn, mut part, mut form) = (None, None, Form::Full);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let slot = match name {
                "_HLS_msn" => &mut msn,
                "_HLS_part" => &mut part,
                "_HLS_skip" => {
                    form = match value {
                        "v2" => Form::DeltaWithDateRanges,
                        "YES" => Form::Delta,
                        _ => form,
                    };
                    continue;
                }
                _ => continue,
            };
            if slot.replace(decimal(value).ok_or(BadReload::Number)?).is_some() {
                return Err(BadReload::Number);
            }
        }
        let wanted = match (msn, part) {
            (None, None) => None,
            (None, Some(_)) => return Err(BadReload::PartAlone),
            (Some(msn), None) => Some(Wanted::Segment(msn)),
            (Some(msn), Some(part)) => Some(Wanted::Part(msn, part)),
        };
        Ok(Self { wanted, form })
    }
}

impl MediaPlaylist {
    /// Whether the playlist can answer `reload` now.
    ///
    /// # Errors
    /// [`BadReload::TooFarAhead`] when it waits for what no player can know of: more than two segments, or more parts
    /// than three seconds hold, beyond the end.
    pub fn readiness(&self, reload: &Reload) -> Result<Readiness, BadReload> {
        let Some(wanted) = reload.wanted.filter(|_| !self.has_ended()) else { return Ok(Readiness::Ready) };
        let next = self.next();
        let newest = self.newest();
        let last_msn = self.segments().back().map_or(next.msn, |segment| segment.msn);
        let msn = match wanted {
            Wanted::Segment(msn) | Wanted::Part(msn, _) => msn,
        };
        if msn > last_msn.saturating_add(2) {
            return Err(BadReload::TooFarAhead);
        }
        let complete =
            msn < self.first_msn() || self.segment(msn).is_some_and(|segment| segment.duration.is_some());
        let there = match wanted {
            Wanted::Segment(_) => complete,
            Wanted::Part(msn, part) => {
                let parts_ahead =
                    self.parts_ahead(Position { msn, part: usize::try_from(part).unwrap_or(usize::MAX) });
                if !complete && parts_ahead > self.advance_part_limit() {
                    return Err(BadReload::TooFarAhead);
                }
                // A part beyond the last of its segment is the first of the next.
                newest.is_some_and(|newest| {
                    newest.msn > msn || (newest.msn == msn && newest.part as u64 >= part)
                })
            }
        };
        Ok(if there { Readiness::Ready } else { Readiness::Wait })
    }

    /// How far `wanted` is beyond the newest part of its own segment, or the first of a segment to come.
    fn parts_ahead(&self, wanted: Position) -> usize {
        match self.segment(wanted.msn) {
            Some(segment) => wanted.part.saturating_add(1).saturating_sub(segment.parts.len()),
            None => wanted.part,
        }
    }

    /// Advance Part Limit: the parts that three seconds hold.
    fn advance_part_limit(&self) -> usize {
        let part = self.pace().part_target.as_millis().max(1);
        usize::try_from((3000 + part - 1) / part).unwrap_or(3).max(3)
    }
}
