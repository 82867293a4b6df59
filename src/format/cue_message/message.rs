//! The message that tells players of FLV and RTMP of a cue: Adobe Primetime's `onAdCue` around a SCTE 35 section.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};

use super::{MAX_CLOCK_SECONDS, MAX_SPAN_SECONDS};
use crate::format::amf::{Value, amf0};
use crate::format::scte35::slot;
use crate::media::{Cue, CueState, MediaTime};

/// The body of a data message in AMF0 that says at `now` what the cue says. `time` in it is on the clock of the stream's
/// timestamps, which is media time; it is the slot's end where the slot is over. A `duration` of zero is unknown.
pub fn on_ad_cue(cue: &Cue, now: MediaTime) -> Bytes {
    let over = cue.end().filter(|end| cue.state == CueState::Announced && *end <= now);
    let time = over.unwrap_or(cue.start);
    let duration = cue.duration.unwrap_or_default();
    let seconds = |time: MediaTime, most: f64| Value::from(time.as_secs_f64().clamp(0.0, most));
    let message = Value::object([
        ("cue", STANDARD.encode(slot::of_cue(cue, now)).as_str().into()),
        ("type", "scte35".into()),
        ("id", cue.id.as_str().into()),
        ("duration", seconds(duration, MAX_SPAN_SECONDS)),
        ("time", seconds(time, MAX_CLOCK_SECONDS)),
        ("elapsed", seconds(now - cue.start, MAX_SPAN_SECONDS)),
    ]);
    let mut body = BytesMut::new();
    amf0::encode(&"onAdCue".into(), &mut body);
    amf0::encode(&message, &mut body);
    body.freeze()
}
