//! What an end of the connection can do beyond the original RTMP (E-RTMP v2, "Enhancing NetConnection connect").

use crate::format::amf::Value;

/// Most entries that are kept of a list on the wire.
const MAX_ENTRIES: usize = 32;

/// The codec can be decoded.
pub const CAN_DECODE: u32 = 1;
/// The codec can be encoded.
pub const CAN_ENCODE: u32 = 2;
/// The codec can be passed on.
pub const CAN_FORWARD: u32 = 4;

/// Obeys a reconnect request.
pub const CAPS_RECONNECT: u32 = 1;
/// Understands multitrack messages.
pub const CAPS_MULTITRACK: u32 = 2;
/// Understands ModEx signals.
pub const CAPS_MOD_EX: u32 = 4;
/// Understands nanosecond offsets.
pub const CAPS_TIMESTAMP_NANO_OFFSET: u32 = 8;

/// The capabilities of one end. A FourCC is text such as `hvc1`, or `*` for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Codecs as told by E-RTMP v1, without what can be done with them.
    pub fourcc_list: Vec<String>,
    /// Video codecs, with `CAN_…` flags.
    pub video: Vec<(String, u32)>,
    /// Audio codecs, with `CAN_…` flags.
    pub audio: Vec<(String, u32)>,
    /// `CAPS_…` flags.
    pub caps_ex: u32,
}

impl Capabilities {
    /// One who passes on these codecs, with these `CAPS_…` flags.
    pub fn forwarding(video: &[&str], audio: &[&str], caps_ex: u32) -> Self {
        let can_forward =
            |codecs: &[&str]| codecs.iter().map(|codec| ((*codec).to_owned(), CAN_FORWARD)).collect();
        Self {
            fourcc_list: video.iter().chain(audio).map(|codec| (*codec).to_owned()).collect(),
            video: can_forward(video),
            audio: can_forward(audio),
            caps_ex,
        }
    }

    /// What the command object of `connect` tells. What is not of the right form is left out: an old client.
    pub fn read(object: &Value) -> Self {
        let list = match object.property("fourCcList") {
            Some(Value::StrictArray(codecs)) => codecs.as_slice(),
            _ => &[],
        };
        Self {
            fourcc_list: list.iter().filter_map(Value::as_str).filter_map(fourcc).take(MAX_ENTRIES).collect(),
            video: info_map(object.property("videoFourCcInfoMap")),
            audio: info_map(object.property("audioFourCcInfoMap")),
            caps_ex: object.property("capsEx").and_then(flags).unwrap_or(0),
        }
    }

    /// Nothing is told: an end of the time before E-RTMP.
    pub fn is_empty(&self) -> bool {
        self.fourcc_list.is_empty() && self.video.is_empty() && self.audio.is_empty() && self.caps_ex == 0
    }

    /// Whether sound of this FourCC can be sent to this end.
    pub fn takes_audio(&self, fourcc: &str) -> bool {
        let named = |codec: &str| codec == fourcc || codec == "*";
        self.fourcc_list.iter().any(|codec| named(codec))
            || self.audio.iter().any(|(codec, flags)| named(codec) && flags & (CAN_DECODE | CAN_FORWARD) != 0)
    }

    /// The properties that tell this in `connect` and in its answer.
    pub fn properties(&self) -> Vec<(String, Value)> {
        let map = |codecs: &[(String, u32)]| {
            Value::Object(codecs.iter().map(|(codec, flags)| (codec.clone(), Value::from(*flags))).collect())
        };
        let list: Vec<Value> = self.fourcc_list.iter().map(|codec| codec.as_str().into()).collect();
        vec![
            ("fourCcList".to_owned(), list.into()),
            ("videoFourCcInfoMap".to_owned(), map(&self.video)),
            ("audioFourCcInfoMap".to_owned(), map(&self.audio)),
            ("capsEx".to_owned(), self.caps_ex.into()),
        ]
    }
}

fn info_map(map: Option<&Value>) -> Vec<(String, u32)> {
    let entries = map.and_then(Value::entries).unwrap_or(&[]);
    let known = |(codec, mask): &(String, Value)| Some((fourcc(codec)?, flags(mask)?));
    entries.iter().filter_map(known).take(MAX_ENTRIES).collect()
}

fn fourcc(text: &str) -> Option<String> {
    (text == "*" || (text.len() == 4 && text.is_ascii())).then(|| text.to_owned())
}

/// A number as flags; the cast makes NaN nothing and saturates.
fn flags(value: &Value) -> Option<u32> {
    value.as_f64().map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_end_takes_is_what_it_names() {
        let of = |list: &[&str], audio: &[(&str, u32)]| Capabilities {
            fourcc_list: list.iter().map(|&codec| codec.to_owned()).collect(),
            audio: audio.iter().map(|&(codec, flags)| (codec.to_owned(), flags)).collect(),
            ..Capabilities::default()
        };
        assert!(!of(&[], &[]).takes_audio("Opus"), "a client of the time before E-RTMP");
        assert!(!of(&["hvc1"], &[("mp4a", CAN_DECODE)]).takes_audio("Opus"));
        assert!(!of(&[], &[("Opus", CAN_ENCODE)]).takes_audio("Opus"));
        for takes in
            [of(&["Opus"], &[]), of(&["*"], &[]), of(&[], &[("Opus", CAN_DECODE)]), of(&[], &[("*", 4)])]
        {
            assert!(takes.takes_audio("Opus"), "{takes:?}");
        }
    }
}
