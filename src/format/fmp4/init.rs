//! The init segment: `ftyp` and `moov`.

use bytes::{BufMut, Bytes};

use crate::media::{Codec, Kind, Params, Track};

use super::boxes::{boxed, full_boxed};
use super::sample_entry::sample_entry;

/// The timescale of video tracks and of the movie: every common frame rate is a whole number of its ticks.
const VIDEO_TIMESCALE: u32 = 90_000;
/// Opus always runs at this rate, whatever it was made from (RFC 7845 §4).
const OPUS_TIMESCALE: u32 = 48_000;

const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Where a decoder finds H.264 and H.265 parameter sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterSets {
    /// In the samples (`avc3`, `hev1`), and for good measure in the init segment: sets may change under way.
    InBand,
    /// In the init segment alone (`avc1`, `hvc1`).
    InInit,
}

/// Why no init segment can be made of these tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The configuration record is missing or too short.
    #[error("{codec} track has no usable configuration record")]
    NoConfig {
        /// The track's codec.
        codec: Codec,
    },
    /// A picture codec with sound parameters, or the reverse.
    #[error("{codec} track does not have the parameters of its kind")]
    Mismatch {
        /// The track's codec.
        codec: Codec,
    },
    /// No tracks at all, or more than a viewer could want.
    #[error("{0} tracks in one init segment: 1 to 255 are possible")]
    Count(usize),
}

/// Ticks a second of a track's times: 90,000 for picture, the sample rate for sound.
pub fn timescale(track: &Track) -> u32 {
    match (track.codec, &track.params) {
        (Codec::Opus, _) => OPUS_TIMESCALE,
        (_, Params::Audio(audio)) if audio.sample_rate > 0 => audio.sample_rate,
        _ => VIDEO_TIMESCALE,
    }
}

/// The init segment of `tracks`; the first has track id 1, the next 2, and so on.
///
/// # Errors
/// [`InitError`] when a configuration record is missing.
pub fn init_segment(tracks: &[&Track], sets: ParameterSets) -> Result<Bytes, InitError> {
    let count = u8::try_from(tracks.len()).ok().filter(|&count| count > 0);
    let count = count.ok_or(InitError::Count(tracks.len()))?;
    let mut entries = Vec::with_capacity(tracks.len());
    for track in tracks {
        let mut entry = Vec::with_capacity(256);
        sample_entry(&mut entry, track, sets)?;
        entries.push(entry);
    }

    let mut out = Vec::with_capacity(1024 * tracks.len());
    boxed(&mut out, b"ftyp", |out| {
        out.put_slice(b"iso6");
        out.put_u32(0);
        out.put_slice(b"iso6cmf2mp41");
    });
    boxed(&mut out, b"moov", |out| {
        movie_header(out, u32::from(count) + 1);
        for (id, (track, entry)) in (1..).zip(tracks.iter().zip(&entries)) {
            track_box(out, id, track, entry);
        }
        boxed(out, b"mvex", |out| {
            for id in 1..=u32::from(count) {
                full_boxed(out, b"trex", 0, 0, |out| {
                    out.put_u32(id);
                    out.put_u32(1); // sample description
                    out.put_bytes(0, 12); // durations, sizes and flags are all in the fragments
                });
            }
        });
    });
    Ok(out.into())
}

fn movie_header(out: &mut Vec<u8>, next_track: u32) {
    full_boxed(out, b"mvhd", 0, 0, |out| {
        out.put_bytes(0, 8); // creation and modification times: unknown
        out.put_u32(VIDEO_TIMESCALE);
        out.put_u32(0); // duration: in the fragments
        out.put_u32(0x1_0000); // rate
        out.put_u16(0x100); // volume
        out.put_bytes(0, 10);
        MATRIX.iter().for_each(|&value| out.put_u32(value));
        out.put_bytes(0, 24);
        out.put_u32(next_track);
    });
}

fn track_box(out: &mut Vec<u8>, id: u32, track: &Track, entry: &[u8]) {
    let kind = track.kind();
    boxed(out, b"trak", |out| {
        track_header(out, id, track);
        boxed(out, b"mdia", |out| {
            full_boxed(out, b"mdhd", 0, 0, |out| {
                out.put_bytes(0, 8);
                out.put_u32(timescale(track));
                out.put_u32(0);
                out.put_u16(0x55c4); // language "und"
                out.put_u16(0);
            });
            let (handler, name): (&[u8; 4], &[u8]) = match kind {
                Kind::Video => (b"vide", b"video\0"),
                Kind::Audio => (b"soun", b"audio\0"),
            };
            full_boxed(out, b"hdlr", 0, 0, |out| {
                out.put_u32(0);
                out.put_slice(handler);
                out.put_bytes(0, 12);
                out.put_slice(name);
            });
            boxed(out, b"minf", |out| {
                match kind {
                    Kind::Video => full_boxed(out, b"vmhd", 0, 1, |out| out.put_bytes(0, 8)),
                    Kind::Audio => full_boxed(out, b"smhd", 0, 0, |out| out.put_bytes(0, 4)),
                }
                sample_tables(out, entry);
            });
        });
    });
}

fn track_header(out: &mut Vec<u8>, id: u32, track: &Track) {
    const ENABLED_IN_MOVIE: u32 = 3;
    let (width, height) = track.video().map_or((0, 0), |video| (video.width, video.height));
    full_boxed(out, b"tkhd", 0, ENABLED_IN_MOVIE, |out| {
        out.put_bytes(0, 8);
        out.put_u32(id);
        out.put_bytes(0, 20); // duration, layer and alternate group among them
        out.put_u16(if track.kind() == Kind::Audio { 0x100 } else { 0 });
        out.put_u16(0);
        MATRIX.iter().for_each(|&value| out.put_u32(value));
        out.put_u32(width.min(0xffff) << 16);
        out.put_u32(height.min(0xffff) << 16);
    });
}

/// The data reference (to this very file) and the sample tables, empty but for the description.
fn sample_tables(out: &mut Vec<u8>, entry: &[u8]) {
    boxed(out, b"dinf", |out| {
        full_boxed(out, b"dref", 0, 0, |out| {
            out.put_u32(1);
            full_boxed(out, b"url ", 0, 1, |_| {});
        });
    });
    boxed(out, b"stbl", |out| {
        full_boxed(out, b"stsd", 0, 0, |out| {
            out.put_u32(1);
            out.put_slice(entry);
        });
        full_boxed(out, b"stts", 0, 0, |out| out.put_u32(0));
        full_boxed(out, b"stsc", 0, 0, |out| out.put_u32(0));
        full_boxed(out, b"stsz", 0, 0, |out| out.put_u64(0));
        full_boxed(out, b"stco", 0, 0, |out| out.put_u32(0));
    });
}
