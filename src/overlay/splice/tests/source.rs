//! Sources of many kinds: GOP structures, frame rates, clocks.

use std::sync::Arc;

use bytes::Bytes;

use super::random::Random;
use crate::codec::nal;
use crate::hub::Item;
use crate::media::{AudioParams, Codec, Frame, MediaTime, Params, Track, TrackId, VideoParams};

pub const VIDEO: TrackId = TrackId(0);
pub const AUDIO: TrackId = TrackId(1);

/// How the pictures of a source depend on one another.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Nanoseconds from one picture to the next.
    pub interval: i64,
    /// Pictures in a GOP.
    pub gop: usize,
    /// B pictures in a row.
    pub b_frames: usize,
    /// The middle one is decoded first, and others refer to it.
    pub pyramid: bool,
    /// Two anchors are decoded before the pictures between the first of them and the one before.
    pub uneven: bool,
    /// Keyframes after the first are no IDR pictures, and have leading pictures.
    pub open: bool,
    /// Timestamps are rounded to milliseconds, as over RTMP.
    pub millis: bool,
    /// Pictures come as they like: up to half an interval late.
    pub jitter: bool,
    /// What the parameter sets say of reordering.
    pub promises: bool,
}

impl Shape {
    pub const PLAIN: Self = Self {
        interval: 33_333_333,
        gop: 60,
        b_frames: 0,
        pyramid: false,
        uneven: false,
        open: false,
        millis: true,
        jitter: false,
        promises: true,
    };

    pub fn random(random: &mut Random) -> Self {
        let fps = random.of(&[4.0, 10.0, 15.0, 25.0, 29.97, 30.0, 50.0, 60.0]);
        let b_frames = random.of(&[0, 0, 1, 2, 3, 3]);
        let pyramid = b_frames == 3 && random.chance(2);
        Self {
            interval: (1e9 / fps) as i64,
            gop: (fps * random.of(&[0.5, 1.0, 2.0, 2.0, 4.0, 10.0])) as usize,
            b_frames,
            pyramid,
            uneven: b_frames > 0 && !pyramid && random.chance(8),
            open: b_frames > 0 && random.chance(5),
            millis: random.chance(2),
            jitter: b_frames == 0 && random.chance(3),
            promises: random.chance(2),
        }
    }

    /// How many frames may precede one in decoding order and follow it in display order.
    pub fn depth(&self) -> usize {
        match (self.b_frames, self.pyramid, self.uneven) {
            (0, ..) => 0,
            (_, _, true) => 2,
            (_, true, _) => 2,
            _ => 1,
        }
    }

    pub fn track(&self) -> Track {
        let reorder_depth = self.promises.then_some(self.depth() as u8);
        let params = Params::Video(VideoParams { width: 1280, height: 720, reorder_depth });
        let config = Bytes::from_static(b"source");
        Track { id: VIDEO, group: 0, rank: 0, codec: Codec::H264, config, params }
    }

    /// Pictures in decoding order, from number `first` on, beginning at `start`.
    pub fn pictures(&self, first: usize, count: usize, start: i64, random: &mut Random) -> Vec<Frame> {
        let times: Vec<i64> = (0..count)
            .map(|n| {
                let late = if self.jitter { random.below(self.interval as u64 / 2) as i64 } else { 0 };
                start + n as i64 * self.interval + late
            })
            .collect();
        let delay = self.depth() as i64 * self.interval;
        let round = |nanos: i64| {
            let time = MediaTime::from_nanos(nanos);
            if self.millis { MediaTime::from_millis(time.as_millis()) } else { time }
        };
        self.decoding_order(count)
            .into_iter()
            .enumerate()
            .map(|(place, (number, kind))| {
                let dts = round(times[place] - delay);
                // Rounding must not show a picture before it is decoded.
                let pts = round(times[number]).max(dts);
                let keyframe = matches!(kind, PictureKind::Idr | PictureKind::OpenKey);
                let disposable = kind == PictureKind::B;
                Frame { track: VIDEO, pts, dts, keyframe, disposable, payload: payload(first + number, kind) }
            })
            .collect()
    }

    fn decoding_order(&self, count: usize) -> Vec<(usize, PictureKind)> {
        let mut order = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        let mut held_back: Vec<(usize, PictureKind)> = Vec::new();
        for number in 0..count {
            let in_gop = number % self.gop.max(1);
            let key = in_gop == 0;
            let closed = key && (number == 0 || !self.open);
            // A closed GOP's last picture is an anchor: nothing before an IDR picture is shown after it.
            let last = !self.open && in_gop + 1 == self.gop || number + 1 == count;
            let anchor = key || last || waiting.len() == self.b_frames;
            if !anchor {
                waiting.push(number);
                continue;
            }
            let kind = match (key, closed) {
                (true, true) => PictureKind::Idr,
                (true, false) => PictureKind::OpenKey,
                _ => PictureKind::P,
            };
            if closed {
                order.append(&mut held_back);
            }
            order.push((number, kind));
            let uneven = self.uneven && !key && !last;
            let mut between = self.between(&waiting);
            waiting.clear();
            if uneven && held_back.is_empty() && between.len() == 1 {
                // They come after the next anchor.
                held_back.append(&mut between);
            } else {
                order.append(&mut held_back);
                order.append(&mut between);
            }
        }
        order.append(&mut held_back);
        order
    }

    fn between(&self, waiting: &[usize]) -> Vec<(usize, PictureKind)> {
        match waiting {
            [first, middle, last] if self.pyramid => {
                vec![(*middle, PictureKind::ReferenceB), (*first, PictureKind::B), (*last, PictureKind::B)]
            }
            all => all.iter().map(|number| (*number, PictureKind::B)).collect(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PictureKind {
    Idr,
    OpenKey,
    P,
    ReferenceB,
    B,
}

/// An access unit of one slice, whose header tells what it is, with a number in it.
pub fn payload(number: usize, kind: PictureKind) -> Bytes {
    // first_mb_in_slice 0, then slice_type 7 (I), 5 (P) or 6 (B).
    let [header, slice] = match kind {
        PictureKind::Idr => [0x65, 0x88],
        PictureKind::OpenKey => [0x41, 0x88],
        PictureKind::P => [0x41, 0x98],
        PictureKind::ReferenceB => [0x41, 0x9c],
        PictureKind::B => [0x01, 0x9c],
    };
    let mut slice = vec![header, slice, b'S'];
    slice.extend(number.to_string().bytes());
    nal::join([&slice[..]])
}

/// The pictures with sound between them, in the order in which they come, each with the time of its coming.
pub fn interleave(shape: &Shape, pictures: &[Frame]) -> Vec<(MediaTime, Item)> {
    let delay = MediaTime::from_nanos(shape.depth() as i64 * shape.interval);
    let mut items: Vec<(MediaTime, Item)> =
        pictures.iter().map(|frame| (frame.dts + delay, Item::Frame(frame.clone()))).collect();
    let end = items.last().map_or(MediaTime::ZERO, |(at, _)| *at);
    let start = items.first().map_or(MediaTime::ZERO, |(at, _)| *at);
    let step = MediaTime::from_nanos(21_333_333);
    let mut time = start;
    while time < end {
        let payload = Bytes::from(format!("sound {}", time.as_nanos()));
        let frame = Frame { track: AUDIO, pts: time, dts: time, keyframe: true, disposable: true, payload };
        items.push((time, Item::Frame(frame)));
        time += step;
    }
    items.sort_by_key(|(at, _)| *at);
    items
}

pub fn audio_track() -> Arc<Track> {
    let params = Params::Audio(AudioParams { sample_rate: 48_000, channels: 2, frame_samples: Some(1024) });
    let config = Bytes::from_static(b"sound");
    Arc::new(Track { id: AUDIO, group: 0, rank: 0, codec: Codec::Aac, config, params })
}
