//! What server and worker say to each other: length-checked binary messages over two pipes.
//!
//! One process does one job. It confines itself and says [`Hello`](FromWorker::Hello); it is told to
//! [`Start`](ToWorker::Start) when there is a job for it; it exits after [`Ended`](FromWorker::Ended) or
//! [`Failed`](FromWorker::Failed). Media time is the source's, in both directions.
//!
//! ```text
//! Image     Start(Image) ─────────────────────────────→ Sprite, Ended
//! Convert   Start(Convert), Track…, Frame…, Keyframe… ─→ Track…, Frame…, Progress…
//!           Stop { before } ──────────────────────────→ what is left before that, Ended
//! BurnIn    Start(BurnIn), Track, Frame… (from a keyframe)
//!                                                    ─→ Progress { dts }: all frames up to dts are decoded, and encoded in
//!                                                       all outputs that are cut
//!           Stop { before } ──────────────────────────→ what all outputs still owe before that, Stopped for each, Ended
//! ```
//!
//! A burn-in decodes once and encodes for several *outputs*: pictures of the same source with other overlays. Each has its own
//! overlays, its own cut and its own end, and is named in everything that is said of it:
//!
//! ```text
//! Open ───────────────────→ (pictures that are decoded from here on are kept for it, until its cut)
//! Overlay… ───────────────→ (at once; a picture that was given is not given again)
//! Cut { dts, pts } ───────→ OutputTrack, OutputFrame…: all pictures from pts on, the first a keyframe with parameter sets
//!                           in-band, each with its own pts and dts = pts − D, where D = the cut's pts − its dts
//! Cancel { id, at } ──────→ (as Overlay)
//! StopOutput { before } ──→ the pictures with pts < before that are still owed, as they come out of the decoder; Stopped
//! CloseOutput ────────────→ (nothing more of it)
//! ```
//!
//! **Who decides the cut:** the splicer does, as it knows which source frames it has let pass. It feeds the worker, waits until
//! `Progress` comes near the newest frame, keeps source frames from the cut on, and says `Cut`: `dts` is that of the first
//! source frame, in decoding order, that is not let pass, and `pts` the smallest of it and all frames after it. The worker keeps
//! the last [`RETAINED_PICTURES`] decoded pictures for each output that waits for its cut, so that the cut may be told after the
//! frames from it on were sent. A cut further back than that, or than the output was opened, ends the job in `Failed`.
//!
//! **Keyframes:** beside its first, an output has them where the source has, so that all outputs have them on the same
//! pictures. Where the source has none for ten seconds, the worker chooses a picture for all.
//!
//! **Leaving:** after its last overlay an output goes on undrawn, until it is stopped with the pts of the source keyframe at
//! which the source is let pass again. With `StopOutput` the others go on, and so do frames: the output has given all when the
//! first picture that is not wanted comes out of the decoder, which is that of the keyframe, after the leading pictures of an
//! open GOP. It is open until it says `Stopped`; what is said to it until then, or has crossed that, does no harm. `Stop` is
//! for when no frame follows for anybody: the decoder gives what it holds at once. Leading pictures are to be sent before it.
//!
//! Both ends take the other for a stranger: lengths are checked before anything is allocated, configuration records go
//! through [`codec::describe`](crate::codec::describe), and an unknown message is an error.

mod decode;
mod encode;
mod error;
mod job;
mod wire;

#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use error::{TooLarge, Unreadable};
pub use job::{
    BurnIn, Convert, Encoding, ImageJob, Job, OutputId, Overlay, OverlayId, Rect, Size, SoundTarget, Speed,
    Sprite, SpriteFrame, Squeeze,
};

use bytes::BytesMut;

use crate::media::{Frame, MediaTime, Track};

/// Rises whenever a message changes its form; both ends are built together, so only equal ones talk.
pub const VERSION: u16 = 2;
/// The longest payload of a frame, in bytes: more than any ingest lets in.
pub const MAX_FRAME: usize = 32 << 20;
/// The longest configuration record, in bytes.
pub const MAX_CONFIG: usize = 1 << 20;
/// The longest text, in bytes: reasons and names.
pub const MAX_TEXT: usize = 1 << 10;
/// The largest image file, in bytes.
pub const MAX_IMAGE: usize = 8 << 20;
/// The widest and highest sprite, in pixels.
pub const MAX_SPRITE_SIDE: u32 = 4096;
/// The most frames of a sprite's animation.
pub const MAX_SPRITE_FRAMES: usize = 600;
/// The most bytes of a sprite's pixels, all frames together.
pub const MAX_SPRITE_BYTES: usize = 64 << 20;
/// The most outputs of a burn-in that are open at one time. One that was stopped is open until it has said so.
pub const MAX_OUTPUTS: usize = 8;
/// The most overlays that an output has at one time.
pub const MAX_OVERLAYS: usize = 8;
/// Decoded pictures that are kept for an output before its cut: more than any reorder depth (16 at most) and some for the
/// way of the message. Outputs share them.
pub const RETAINED_PICTURES: usize = 32;

/// A message with a form on the pipe.
pub trait Message: Sized {
    /// Appends the message: a byte for its kind, a 32-bit length, the body.
    ///
    /// # Errors
    /// When it is larger than the other end takes. Nothing is appended then.
    fn encode(&self, out: &mut BytesMut) -> Result<(), TooLarge>;

    /// The longest body of a kind, in bytes, header not counted; `None` when there is no such kind.
    fn max_body(kind: u8) -> Option<usize>;

    /// Reads a body, which is at most [`max_body`](Self::max_body) long. All of it must be used.
    ///
    /// # Errors
    /// What is wrong with it.
    fn decode(kind: u8, body: bytes::Bytes) -> Result<Self, Unreadable>;
}

/// What the server says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToWorker {
    /// The first message, said once.
    Start(Job),
    /// A track of the source begins or changes. Said before its first frame.
    Track(Track),
    /// A frame of the source, in decoding order; the first of a video track is a keyframe.
    Frame(Frame),
    /// Burn-in: an output will be wanted. Pictures that are decoded from here on are kept for it until its cut, the last
    /// [`RETAINED_PICTURES`] of them.
    Open {
        /// Its name, which no other output of this job has had.
        output: OutputId,
    },
    /// Burn-in: an overlay to be drawn in an output; in place of the one with the same id, if there is one. It should come
    /// before its start: pictures that are given already stay as they are.
    Overlay {
        /// Where.
        output: OutputId,
        /// What.
        overlay: Overlay,
    },
    /// Burn-in: an output's overlay ends at `at`, or where it would have if that is earlier.
    Cancel {
        /// Where.
        output: OutputId,
        /// Which overlay.
        id: OverlayId,
        /// The first moment without it; a moment that has gone by means from the next picture on.
        at: MediaTime,
    },
    /// Burn-in: pictures of an output are to be given from here on. Said once for each.
    Cut {
        /// Of which output.
        output: OutputId,
        /// Decoding time of the first source frame that is not let pass.
        dts: MediaTime,
        /// The smallest presentation time of that and all later frames: that of the first picture to be given.
        pts: MediaTime,
    },
    /// Burn-in: of this output only pictures before this presentation time are still owed. They are given as they come out
    /// of the decoder, then [`Stopped`](FromWorker::Stopped), and the output is forgotten. Later ones may have been given
    /// already. Of several such moments the first counts; an output without a cut owes nothing.
    StopOutput {
        /// Which.
        output: OutputId,
        /// The first moment that is not wanted.
        before: MediaTime,
    },
    /// Burn-in: an output is forgotten at once. What was given of it may still be on its way.
    CloseOutput {
        /// Which.
        output: OutputId,
    },
    /// Convert: the next picture is to be a keyframe.
    Keyframe,
    /// No frame of the source follows: pictures and sound before this presentation time that are still owed are given, then
    /// `Ended`. In a burn-in all outputs are stopped by it.
    Stop {
        /// The first moment that is not wanted; [`MediaTime::MAX`] when all is.
        before: MediaTime,
    },
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FromWorker {
    /// The first message: confined, and ready for a job.
    Hello(Hello),
    /// Convert: what the frames that follow are.
    Track(Track),
    /// Convert: a frame.
    Frame(Frame),
    /// Burn-in: what the frames of this output that follow are.
    OutputTrack {
        /// Of which output.
        output: OutputId,
        /// What they are.
        track: Track,
    },
    /// Burn-in: a frame of an output.
    OutputFrame {
        /// Of which output.
        output: OutputId,
        /// The frame.
        frame: Frame,
    },
    /// Burn-in: all is given that this output owed until it was to stop. It is forgotten.
    Stopped {
        /// Which.
        output: OutputId,
    },
    /// All frames of the source up to this decoding time are decoded, and encoded where they are wanted: in all outputs that
    /// are cut. Said after every video frame, and where there is no video after every audio frame.
    Progress {
        /// Decoding time of the newest frame that was worked off.
        dts: MediaTime,
    },
    /// An image, decoded.
    Sprite(Sprite),
    /// The job is done, all is given.
    Ended,
    /// The job cannot be done; in words for people.
    Failed(String),
}

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// [`VERSION`] of its messages.
    pub version: u16,
    /// How it is confined.
    pub confinement: Confinement,
    /// The media libraries and their versions, for people.
    pub libraries: String,
}

/// How a worker is confined. What the kernel lacks is left out; the rest holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Landlock: no files. The version of the kernel's interface that is enforced, 0 for none.
    pub landlock: u8,
    /// Seccomp: only system calls that computing on memory and pipes needs.
    pub seccomp: bool,
    /// No program it could start would have more rights.
    pub no_new_privileges: bool,
    /// The most memory it may allocate, in bytes; 0 for no limit.
    pub memory: u64,
}

impl Confinement {
    /// What is missing, in words.
    pub fn lacking(&self) -> impl Iterator<Item = &'static str> {
        let walls = [
            (self.landlock > 0, "Landlock (no files)"),
            (self.seccomp, "seccomp (no system calls)"),
            (self.no_new_privileges, "no_new_privs"),
            (self.memory > 0, "a limit on memory"),
        ];
        walls.into_iter().filter(|(stands, _)| !stands).map(|(_, name)| name)
    }
}
