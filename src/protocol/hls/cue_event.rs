//! Cues in parts: `emsg` boxes with SCTE 35 sections (ANSI/SCTE 214-1 §6.8.4, `urn:scte:scte35:2013:bin`).

use crate::format::fmp4::EventMessage;
use crate::format::scte35::{TICKS_PER_SECOND, slot};
use crate::media::{Cue, MediaTime};

/// 2^32 divided by the golden ratio.
const SPREAD: u32 = 0x9e37_79b9;
const SCHEME: &str = "urn:scte:scte35:2013:bin";

/// What a cue that is announced when the media ends at `now` says, for the part that comes next.
pub(super) fn cue_event(cue: &Cue, now: MediaTime) -> EventMessage {
    let ticks = |time: MediaTime| u64::try_from(time.to_ticks(TICKS_PER_SECOND)).unwrap_or_default();
    EventMessage {
        scheme: SCHEME.to_owned(),
        value: String::new(),
        timescale: TICKS_PER_SECOND,
        presentation_time: ticks(cue.start),
        duration: cue.duration.and_then(|duration| u32::try_from(ticks(duration)).ok()),
        // Players pass over a message whose number they have had: each revision has its own, far from those of other cues.
        id: slot::event_id(cue).wrapping_add(cue.revision.wrapping_mul(SPREAD)),
        data: slot::of_cue(cue, now),
    }
}
