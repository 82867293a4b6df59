//! Event messages in the stream: the `emsg` box, version 1 (ISO/IEC 23009-1 §5.10.3.3).

use bytes::{BufMut, Bytes};

use super::boxes::full_boxed;

/// A message with a time, written before a fragment's `moof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMessage {
    /// What the message is: an absolute URI. Written up to its first NUL.
    pub scheme: String,
    /// Told apart from other events of the scheme by this. Written up to its first NUL.
    pub value: String,
    /// Ticks a second of the times below.
    pub timescale: u32,
    /// Media time at which it begins to hold, in ticks.
    pub presentation_time: u64,
    /// How long it holds, in ticks; `None` when that is not known.
    pub duration: Option<u32>,
    /// Messages of one scheme, value and id say the same.
    pub id: u32,
    /// The message.
    pub data: Bytes,
}

impl EventMessage {
    /// The box.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(40 + self.scheme.len() + self.value.len() + self.data.len());
        full_boxed(&mut out, b"emsg", 1, 0, |out| {
            out.put_u32(self.timescale);
            out.put_u64(self.presentation_time);
            out.put_u32(self.duration.unwrap_or(u32::MAX));
            out.put_u32(self.id);
            for text in [&self.scheme, &self.value] {
                out.extend(text.bytes().take_while(|&byte| byte != 0));
                out.put_u8(0);
            }
            out.put_slice(&self.data);
        });
        out.into()
    }
}
