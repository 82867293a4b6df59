//! Messages in a stream that announce slots, and the cues they become.
//!
//! Three dialects of RTMP data messages carry cues: YouTube's `onCuePoint`, Elemental's `onCuePoint` for SCTE 35 events,
//! and Adobe Primetime's `onAdCue`, plain or around a SCTE 35 section. [`parse`] reads them; [`Cues`] makes
//! [`Cue`](crate::media::Cue)s of them, with ids and rising revisions. [`on_ad_cue`] is the other way: what viewers get.

mod cues;
mod error;
mod message;
mod section;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::amf::Value;
use super::scte35::SpliceInfoSection;
use crate::media::{CueId, MediaTime};

pub use cues::{Cues, Moment};
pub use error::CueError;
pub use message::on_ad_cue;
pub use section::SlotTypes;

const WRAPPER: &str = "@setDataFrame";
/// A section has at most 4,096 bytes, which are 5,464 characters of base64.
const MAX_SECTION_TEXT: usize = 5_464;
/// No slot lasts longer, is announced earlier or repeated later than this.
const MAX_SPAN_SECONDS: f64 = 86_400.0;
/// Stream clocks do not run for longer: three years.
const MAX_CLOCK_SECONDS: f64 = 1e8;
/// Event numbers above this are not exact in AMF's only kind of number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Some published sections lack their padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a cue message says.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// What the announcer calls the slot; `None` when it has no name. At most [`CueId::MAX_LEN`] bytes.
    pub id: Option<String>,
    /// What becomes of the slot.
    pub action: Action,
    /// When.
    pub start: Start,
    /// How long the slot lasts, if that is told; longer than zero.
    pub duration: Option<MediaTime>,
}

/// What becomes of a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It begins.
    Out,
    /// It ends.
    In,
    /// What the SCTE 35 section says, which may speak of several slots.
    Section {
        /// The section.
        section: SpliceInfoSection,
        /// The same as it came.
        bytes: Bytes,
    },
}

/// When something announced happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Now, or as soon as possible.
    Immediate,
    /// So long after now; negative if it has been already.
    After(MediaTime),
    /// At this time on the publisher's clock, that of its message timestamps.
    At(MediaTime),
}

/// Reads a data message: its name and arguments, with or without `@setDataFrame` before them.
///
/// `None` when it is no cue message. The errors concern the one message.
pub fn parse(values: &[Value]) -> Result<Option<Announcement>, CueError> {
    let values = match values {
        [Value::String(name), inner @ ..] if name == WRAPPER => inner,
        values => values,
    };
    let [Value::String(name), arguments @ ..] = values else { return Ok(None) };
    let Some(cue) = arguments.iter().find(|argument| argument.entries().is_some()) else { return Ok(None) };
    let text = |field| cue.property(field).and_then(Value::as_str);
    match name.as_str() {
        "onCuePoint" if text("type") == Some("com.youtube.cuepoint") => parse_youtube(cue).map(Some),
        "onCuePoint" if text("name") == Some("scte35") => parse_elemental(cue).map(Some),
        "onAdCue" if text("cue") == Some("SpliceOut") => parse_primetime(cue, Action::Out).map(Some),
        "onAdCue" if matches!(text("type"), Some("scte35" | "urn:scte:scte35:2013:bin")) => {
            let action = parse_section(text("cue").ok_or(CueError::Missing("cue"))?)?;
            parse_primetime(cue, action).map(Some)
        }
        _ => Ok(None),
    }
}

fn parse_youtube(cue: &Value) -> Result<Announcement, CueError> {
    let is_start = match cue.property("cue_point_start") {
        Some(Value::Boolean(is_start)) => *is_start,
        Some(_) => return Err(CueError::Type("cue_point_start")),
        None => return Err(CueError::Missing("cue_point_start")),
    };
    let pre_roll = seconds(cue, "pre_roll_time_sec", MAX_SPAN_SECONDS)?;
    Ok(Announcement {
        // Encoders that have no number for the break send zero.
        id: id(cue, "splice_event_id")?.filter(|id| id != "0"),
        action: if is_start { Action::Out } else { Action::In },
        start: pre_roll.map_or(Start::Immediate, Start::After),
        duration: duration(cue, "break_duration_sec")?,
    })
}

fn parse_elemental(cue: &Value) -> Result<Announcement, CueError> {
    let nothing = Value::Object(Vec::new());
    let parameters = cue.property("parameters").unwrap_or(&nothing);
    Ok(Announcement {
        id: id(parameters, "id")?,
        action: Action::Out,
        start: start(cue)?,
        duration: duration(parameters, "duration")?,
    })
}

fn parse_primetime(cue: &Value, action: Action) -> Result<Announcement, CueError> {
    Ok(Announcement { id: id(cue, "id")?, action, start: start(cue)?, duration: duration(cue, "duration")? })
}

fn parse_section(text: &str) -> Result<Action, CueError> {
    let text = text.trim();
    if text.len() > MAX_SECTION_TEXT {
        return Err(CueError::TooLong("cue"));
    }
    let bytes = Bytes::from(BASE64.decode(text).map_err(|_| CueError::Base64)?);
    let section = SpliceInfoSection::decode(&bytes).map_err(CueError::Section)?;
    Ok(Action::Section { section, bytes })
}

/// `time`, on the publisher's clock; without it, `elapsed` since the slot began.
fn start(cue: &Value) -> Result<Start, CueError> {
    let elapsed = seconds(cue, "elapsed", MAX_SPAN_SECONDS)?;
    Ok(match (seconds(cue, "time", MAX_CLOCK_SECONDS)?, elapsed) {
        (Some(time), _) => Start::At(time),
        (None, Some(elapsed)) => Start::After(-elapsed),
        (None, None) => Start::Immediate,
    })
}

/// A duration; zero is "unknown" in all dialects.
fn duration(of: &Value, field: &'static str) -> Result<Option<MediaTime>, CueError> {
    Ok(seconds(of, field, MAX_SPAN_SECONDS)?.filter(|duration| *duration > MediaTime::ZERO))
}

/// A number of seconds, also as text, from 0 to `max`.
fn seconds(of: &Value, field: &'static str, max: f64) -> Result<Option<MediaTime>, CueError> {
    let seconds = match of.property(field) {
        None | Some(Value::Null | Value::Undefined) => return Ok(None),
        Some(Value::Number(seconds)) => *seconds,
        Some(Value::String(text)) => text.trim().parse().map_err(|_| CueError::Type(field))?,
        Some(_) => return Err(CueError::Type(field)),
    };
    // This is false for NaN as well.
    if !(0.0..=max).contains(&seconds) {
        return Err(CueError::OutOfRange(field));
    }
    Ok(Some(MediaTime::from_nanos((seconds * 1e9).round() as i64)))
}

/// A name, or a whole number as one.
fn id(of: &Value, field: &'static str) -> Result<Option<String>, CueError> {
    match of.property(field) {
        None | Some(Value::Null | Value::Undefined) => Ok(None),
        Some(Value::Number(number)) if (0.0..=MAX_EXACT).contains(number) => {
            Ok(Some((*number as u64).to_string()))
        }
        Some(Value::Number(_)) => Err(CueError::OutOfRange(field)),
        Some(Value::String(text)) if text.len() > CueId::MAX_LEN => Err(CueError::TooLong(field)),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(CueError::Type(field)),
    }
}
