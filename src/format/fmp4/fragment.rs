//! A media fragment: `moof` and `mdat`.

use bytes::{BufMut, Bytes};

use super::boxes::{boxed, full_boxed};

/// `tfhd` flag: data offsets count from the start of the `moof`.
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
/// `trun` flags: data offset; and for each sample its duration, size, flags and composition offset.
const RUN_FLAGS: u32 = 0x01 | 0x100 | 0x200 | 0x400 | 0x800;

/// What a sample needs of others, as its flags tell (ISO/IEC 14496-12 §8.8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleKind {
    /// A decoder can start here.
    Sync,
    /// It refers to others.
    Dependent,
    /// It refers to others, and no other to it.
    Disposable,
}

/// One frame in a fragment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Ticks until the next sample of the run.
    pub duration: u32,
    /// Ticks from decoding to display; negative is allowed.
    pub composition_offset: i32,
    /// What it needs of others.
    pub kind: SampleKind,
    /// The frame.
    pub payload: Bytes,
}

/// The consecutive samples of one track in a fragment.
#[derive(Clone, Debug)]
pub struct Run {
    /// The track's id in the init segment: its place there, from 1.
    pub track_id: u32,
    /// Media time of the first sample's decoding, in ticks of the track's timescale.
    pub decode_time: u64,
    /// The samples, in decoding order.
    pub samples: Vec<Sample>,
}

/// A fragment of `runs`, one a track, numbered `sequence`; runs without samples are left out.
pub fn fragment(sequence: u32, runs: &[Run]) -> Bytes {
    let samples = runs.iter().flat_map(|run| &run.samples);
    let (count, data_len) =
        samples.fold((0, 0), |(count, len), sample| (count + 1, len + sample.payload.len()));
    let mut out = Vec::with_capacity(64 + 128 * runs.len() + 16 * count + data_len);

    // Where each run's data offset is to be written, and how far into the data it points.
    let mut offsets = Vec::with_capacity(runs.len());
    let mut data = 0;
    boxed(&mut out, b"moof", |out| {
        full_boxed(out, b"mfhd", 0, 0, |out| out.put_u32(sequence));
        for run in runs.iter().filter(|run| !run.samples.is_empty()) {
            offsets.push((track_fragment(out, run), data));
            data += run.samples.iter().map(|sample| sample.payload.len()).sum::<usize>();
        }
    });

    let data_start = out.len() + 8;
    for (place, into_data) in offsets {
        // Parts are bounded to a few megabytes: offsets and sizes fit.
        let offset = i32::try_from(data_start + into_data).unwrap_or(i32::MAX);
        out[place..place + 4].copy_from_slice(&offset.to_be_bytes());
    }
    out.put_u32(u32::try_from(data_len + 8).unwrap_or(u32::MAX));
    out.put_slice(b"mdat");
    for sample in runs.iter().flat_map(|run| &run.samples) {
        out.put_slice(&sample.payload);
    }
    out.into()
}

/// Writes a `traf`; the answer is where its data offset belongs.
fn track_fragment(out: &mut Vec<u8>, run: &Run) -> usize {
    let mut offset_place = 0;
    boxed(out, b"traf", |out| {
        full_boxed(out, b"tfhd", 0, DEFAULT_BASE_IS_MOOF, |out| out.put_u32(run.track_id));
        full_boxed(out, b"tfdt", 1, 0, |out| out.put_u64(run.decode_time));
        full_boxed(out, b"trun", 1, RUN_FLAGS, |out| {
            out.put_u32(u32::try_from(run.samples.len()).unwrap_or(u32::MAX));
            offset_place = out.len();
            out.put_i32(0);
            for sample in &run.samples {
                out.put_u32(sample.duration);
                out.put_u32(u32::try_from(sample.payload.len()).unwrap_or(u32::MAX));
                out.put_u32(sample.kind.flags());
                out.put_i32(sample.composition_offset);
            }
        });
    });
    offset_place
}

impl SampleKind {
    const fn flags(self) -> u32 {
        const DEPENDS_ON_NONE: u32 = 2 << 24;
        const DEPENDS_ON_OTHERS: u32 = 1 << 24;
        const NOT_DEPENDED_ON: u32 = 2 << 22;
        const NOT_SYNC: u32 = 1 << 16;
        match self {
            Self::Sync => DEPENDS_ON_NONE,
            Self::Dependent => DEPENDS_ON_OTHERS | NOT_SYNC,
            Self::Disposable => DEPENDS_ON_OTHERS | NOT_DEPENDED_ON | NOT_SYNC,
        }
    }
}
