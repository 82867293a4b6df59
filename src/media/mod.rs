//! The words every part of the server shares: media time, tracks, frames, cues, signals, names.
//!
//! Nothing here knows a protocol, a container or a codec's bits; everything above speaks in these types.

mod cohort;
mod cue;
mod frame;
mod name;
mod overlay;
mod signal;
mod time;
mod track;

pub use cohort::{About, Code, Cohort, Device, InvalidCode};
pub use cue::{Cue, CueId, CueOrigin, CueState};
pub use frame::Frame;
pub use name::{ChannelName, InvalidName};
pub use overlay::OverlayFormat;
pub use signal::Signal;
pub use time::MediaTime;
pub use track::{AudioParams, Codec, Kind, Params, Track, TrackId, VideoParams};
