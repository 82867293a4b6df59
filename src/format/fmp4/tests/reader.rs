//! A reader of small MP4 files, for tests: ffmpeg makes them, this gives their tracks and frames.

use std::process::Command;

use bytes::{BufMut, Bytes};
use mp4_atom::{Atom, Codec as Entry, Decode, Encode, Moov, Stbl, StszSamples, Trak};

use crate::media::{AudioParams, Codec, Frame, MediaTime, Params, Track, TrackId, VideoParams};

/// Has ffmpeg make an MP4 of its test picture (`-i 0`) and a tone (`-i 1`), with `args` for the output; `None` when
/// this ffmpeg cannot (no such encoder).
pub(crate) fn encode(args: &str) -> Option<(Vec<Track>, Vec<Frame>)> {
    let file = tempfile(&format!("{:x}.mp4", fingerprint(args)));
    let inputs = "-f lavfi -i testsrc2=size=192x108:rate=30 -f lavfi -i sine=440:sample_rate=48000";
    let made = Command::new("ffmpeg")
        .args("-nostdin -hide_banner -loglevel error -y".split(' '))
        .args(inputs.split(' '))
        .args(args.split(' '))
        .arg(&file)
        .output()
        .expect("ffmpeg is installed");
    let bytes = std::fs::read(&file);
    let _ = std::fs::remove_file(&file);
    made.status.success().then(|| read(&bytes.expect("ffmpeg wrote the file").into()))
}

/// A path of our own in the temporary directory.
pub(crate) fn tempfile(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("onair-{}-{name}", std::process::id()))
}

fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The tracks of a plain MP4 file, and their frames as a live source would interleave them.
fn read(file: &Bytes) -> (Vec<Track>, Vec<Frame>) {
    let moov = moov(file);
    let tracks: Vec<Track> = (0..).zip(&moov.trak).map(|(id, trak)| track(TrackId(id), trak)).collect();
    let mut frames: Vec<Frame> =
        tracks.iter().zip(&moov.trak).flat_map(|(track, trak)| frames(file, track, trak)).collect();
    frames.sort_by_key(|frame| frame.dts);
    (tracks, frames)
}

fn moov(file: &Bytes) -> Moov {
    let mut rest = file.as_ref();
    while rest.len() >= 8 {
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        if &rest[4..8] == b"moov" {
            return Moov::decode(&mut rest).unwrap();
        }
        rest = &rest[size..];
    }
    panic!("no moov");
}

fn track(id: TrackId, trak: &Trak) -> Track {
    let entry = &trak.mdia.minf.stbl.stsd.codecs[0];
    let (codec, config) = match entry {
        Entry::Avc1(entry) => (Codec::H264, body(&entry.avcc)),
        Entry::Hvc1(entry) => (Codec::H265, body(&entry.hvcc)),
        Entry::Av01(entry) => (Codec::Av1, body(&entry.av1c)),
        Entry::Vp09(entry) => (Codec::Vp9, body(&entry.vpcc).slice(4..)),
        Entry::Mp4a(entry) => {
            (Codec::Aac, entry.esds.es_desc.dec_config.dec_specific.clone().unwrap().raw.into())
        }
        Entry::Opus(entry) => (Codec::Opus, opus_head(&entry.dops)),
        other => panic!("{other:?}"),
    };
    let params = match (entry.visual(), entry.audio()) {
        (Some(visual), _) => Params::Video(VideoParams {
            width: visual.width.into(),
            height: visual.height.into(),
            reorder_depth: None,
        }),
        (_, Some(audio)) => Params::Audio(AudioParams {
            sample_rate: audio.sample_rate.integer().into(),
            channels: audio.channel_count as u8,
            frame_samples: (codec == Codec::Aac).then_some(1024),
        }),
        _ => panic!("neither picture nor sound"),
    };
    Track { id, group: id.0, rank: 0, codec, config, params }
}

fn body<A: Atom + Encode>(atom: &A) -> Bytes {
    let mut out = Vec::new();
    atom.encode(&mut out).unwrap();
    Bytes::from(out).slice(8..)
}

fn opus_head(dops: &mp4_atom::Dops) -> Bytes {
    let mut out = b"OpusHead\x01".to_vec();
    out.put_u8(dops.output_channel_count);
    out.put_u16_le(dops.pre_skip);
    out.put_u32_le(dops.input_sample_rate);
    out.put_i16_le(dops.output_gain);
    out.put_u8(0);
    out.into()
}

fn frames(file: &Bytes, track: &Track, trak: &Trak) -> Vec<Frame> {
    let stbl = &trak.mdia.minf.stbl;
    let timescale = trak.mdia.mdhd.timescale;
    let deltas = stbl
        .stts
        .entries
        .iter()
        .flat_map(|run| std::iter::repeat_n(run.sample_delta, run.sample_count as usize));
    let mut offsets: Vec<i64> =
        stbl.ctts.iter().flat_map(|ctts| &ctts.entries).fold(Vec::new(), |mut all, run| {
            all.extend(std::iter::repeat_n(run.sample_offset, run.sample_count as usize));
            all
        });
    let payloads = payloads(file, stbl);
    offsets.resize(payloads.len(), 0);
    let mut dts = 0;
    payloads
        .into_iter()
        .zip(deltas)
        .zip(offsets)
        .zip(1..)
        .map(|(((payload, delta), offset), number)| {
            let frame = Frame {
                track: track.id,
                pts: MediaTime::from_ticks(dts + offset, timescale),
                dts: MediaTime::from_ticks(dts, timescale),
                keyframe: stbl.stss.as_ref().is_none_or(|sync| sync.entries.contains(&number)),
                disposable: false,
                payload,
            };
            dts += i64::from(delta);
            frame
        })
        .collect()
}

fn payloads(file: &Bytes, stbl: &Stbl) -> Vec<Bytes> {
    let sizes = match &stbl.stsz.samples {
        StszSamples::Different { sizes } => sizes.clone(),
        StszSamples::Identical { count, size } => vec![*size; *count as usize],
    };
    let mut sizes = sizes.into_iter();
    let mut payloads = Vec::new();
    for (chunk, &offset) in (1..).zip(&stbl.stco.as_ref().unwrap().entries) {
        let run = stbl.stsc.entries.iter().rfind(|run| run.first_chunk <= chunk).unwrap();
        let mut offset = offset as usize;
        for size in sizes.by_ref().take(run.samples_per_chunk as usize) {
            payloads.push(file.slice(offset..offset + size as usize));
            offset += size as usize;
        }
    }
    payloads
}
