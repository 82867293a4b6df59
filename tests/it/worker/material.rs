//! Recordings as the worker gets them, and what it gives, looked at with ffmpeg.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use onair::av::worker::ipc::{FromWorker, Job, OutputId, ToWorker};
use onair::av::worker::{Config, Lost, Orders, Reports, Session, Workers};
use onair::codec::nal;
use onair::format::flv::file::{Tag, TagKind};
use onair::format::flv::{Demuxer, Event, Limits};
use onair::media::{Codec, Frame, Kind, MediaTime, Track};
use onair::metrics::Metrics;

use crate::support::{Fixture, in_time};

/// The program that is tested.
pub const WORKER: &str = env!("CARGO_BIN_EXE_onair-worker");

/// Nothing here may depend on how fast the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Workers that are given all the time they need.
pub fn config() -> Config {
    Config { path: Some(WORKER.into()), max_jobs: 64, stall_timeout: PATIENCE, ..Config::default() }
}

/// A worker at a job.
pub fn begin(job: Job) -> Session {
    Workers::start(&config(), &Metrics::new()).give(job).expect("room")
}

/// One kind of track of a recording.
pub struct Material {
    pub track: Track,
    pub frames: Vec<Frame>,
}

impl Material {
    /// The recording's picture or sound, with its own timestamps.
    pub fn read(name: &str, kind: Kind) -> Self {
        Self::of(Fixture::read(name).tags, kind)
    }

    /// The picture or sound of these tags.
    pub fn of(tags: Vec<Tag>, kind: Kind) -> Self {
        let mut demuxer = Demuxer::new(Limits::default());
        let (mut track, mut frames) = (None, Vec::new());
        for tag in tags {
            let time = MediaTime::from_millis(tag.timestamp_ms.into());
            let events = match tag.kind {
                TagKind::Video => demuxer.video(time, tag.body),
                TagKind::Audio => demuxer.audio(time, tag.body),
                TagKind::Script => continue,
            };
            for event in events.expect("a whole recording") {
                match event {
                    Event::Track(new) if new.kind() == kind => track = track.or(Some(new)),
                    Event::Frame(frame) if Some(frame.track) == track.as_ref().map(|track| track.id) => {
                        frames.push(frame);
                    }
                    _ => {}
                }
            }
        }
        Self { track: track.expect("such a track"), frames }
    }

    /// The same, all times later.
    pub fn later(mut self, by: MediaTime) -> Self {
        for frame in &mut self.frames {
            frame.pts += by;
            frame.dts += by;
        }
        self
    }

    /// Presentation times in the order of display.
    pub fn times(&self) -> Vec<MediaTime> {
        let mut times: Vec<MediaTime> = self.frames.iter().map(|frame| frame.pts).collect();
        times.sort_unstable();
        times
    }

    /// Gives everything to a worker, in order.
    pub fn feed(&self, orders: &Orders) {
        assert!(orders.send(ToWorker::Track(self.track.clone())));
        for frame in &self.frames {
            assert!(orders.send(ToWorker::Frame(frame.clone())));
        }
    }
}

/// What a worker gave.
#[derive(Default)]
pub struct Given {
    pub tracks: Vec<Track>,
    pub frames: Vec<Frame>,
    pub progress: Vec<MediaTime>,
}

/// Everything that a worker gives until it has ended.
pub async fn collect(mut reports: Reports) -> Result<Given, Lost> {
    let mut given = Given::default();
    loop {
        match in_time("a report", reports.next()).await? {
            FromWorker::Track(track) => given.tracks.push(track),
            FromWorker::Frame(frame) => given.frames.push(frame),
            FromWorker::Progress { dts } => given.progress.push(dts),
            FromWorker::Ended => return Ok(given),
            other => panic!("{other:?} is no part of a stream"),
        }
    }
}

/// Everything that a burn-in gives until it has ended, of each output that has stopped before that.
pub async fn collect_outputs(mut reports: Reports) -> Result<BTreeMap<OutputId, Given>, Lost> {
    let mut outputs: BTreeMap<OutputId, Given> = BTreeMap::new();
    let mut stopped = Vec::new();
    loop {
        match in_time("a report", reports.next()).await? {
            FromWorker::OutputTrack { output, track } => {
                outputs.entry(output).or_default().tracks.push(track)
            }
            FromWorker::OutputFrame { output, frame } => {
                outputs.entry(output).or_default().frames.push(frame)
            }
            FromWorker::Stopped { output } => stopped.push(output),
            FromWorker::Progress { .. } => {}
            FromWorker::Ended => {
                outputs.retain(|output, _| stopped.contains(output));
                return Ok(outputs);
            }
            other => panic!("{other:?} is no part of a burn-in"),
        }
    }
}

/// A decoded picture: one byte a pixel, luma only, black 0 and white 255.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub luma: Vec<u8>,
}

impl Picture {
    /// Mean luma of a rectangle.
    pub fn mean(&self, x: usize, y: usize, width: usize, height: usize) -> u8 {
        let rows = (y..y + height).map(|row| &self.luma[row * self.width + x..][..width]);
        let sum: usize = rows.flatten().map(|&sample| usize::from(sample)).sum();
        (sum / (width * height)) as u8
    }

    /// The number that the fixtures have at the top.
    pub fn number(&self) -> u16 {
        self.number_within(0, 0, self.width, self.height)
    }

    /// The same of a picture that was made small, and lies here.
    pub fn number_within(&self, x: usize, y: usize, width: usize, height: usize) -> u16 {
        (0..16).fold(0, |number, block| {
            let at = x + (2 * block + 1) * width / 32;
            let white = self.mean(at - 1, y + height / 16 - 1, 3, 3) > 128;
            number << 1 | u16::from(white)
        })
    }
}

/// Pictures of H.264, decoded by ffmpeg in the order of display.
pub async fn decode(frames: &[Frame], width: usize, height: usize) -> Vec<Picture> {
    let mut file = tempfile::Builder::new().suffix(".h264").tempfile().expect("a temporary file");
    for frame in frames {
        file.write_all(&nal::to_annex_b(&frame.payload).expect("canonical")).expect("room on the disk");
    }
    let raw = decoded(
        ["-f", "h264", "-i"],
        file.path().as_os_str(),
        ["-vsync", "0", "-pix_fmt", "gray", "-f", "rawvideo", "-"],
    )
    .await;
    let pictures = raw.chunks_exact(width * height);
    assert!(pictures.remainder().is_empty(), "the pictures have another size");
    pictures.map(|luma| Picture { width, height, luma: luma.to_vec() }).collect()
}

/// The left channel of AAC, decoded by ffmpeg: samples at 48 kHz from the first access unit on.
pub async fn decode_aac(frames: &[Frame], channels: u8) -> Vec<f32> {
    let mut file = tempfile::Builder::new().suffix(".aac").tempfile().expect("a temporary file");
    for frame in frames {
        // ADTS (ISO/IEC 14496-3 §1.A.2): AAC LC at 48 kHz, no CRC.
        let length = frame.payload.len() as u32 + 7;
        let header = [
            0xff,
            0xf1,
            0x4c,
            channels << 6 | (length >> 11) as u8,
            (length >> 3) as u8,
            (length << 5) as u8 | 0x1f,
            0xfc,
        ];
        file.write_all(&header).expect("room on the disk");
        file.write_all(&frame.payload).expect("room on the disk");
    }
    let raw =
        decoded(["-f", "aac", "-i"], file.path().as_os_str(), ["-af", "pan=mono|c0=c0", "-f", "f32le", "-"])
            .await;
    raw.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

/// What ffmpeg writes, which must have nothing to complain of.
pub async fn decoded<const N: usize>(before: [&str; 3], file: &OsStr, after: [&str; N]) -> Vec<u8> {
    let mut command = tokio::process::Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-xerror"]).args(before).arg(file).args(after);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = in_time("decoding", command.output()).await.expect("ffmpeg (scripts/install-packages test)");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    output.stdout
}

/// Where beeps begin in mono samples at 48 kHz: after at least half a second that is quiet.
pub fn onsets(samples: &[f32]) -> Vec<usize> {
    let mut quiet = usize::MAX / 2;
    let mut onsets = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        if sample.abs() > 0.05 {
            if quiet > 24_000 {
                onsets.push(index);
            }
            quiet = 0;
        } else {
            quiet += 1;
        }
    }
    onsets
}

/// Whether no picture of H.264 is predicted from two.
pub fn has_no_b_frames(frames: &[Frame]) -> bool {
    frames.iter().all(|frame| {
        let unit = onair::codec::h264::AccessUnit::inspect(&frame.payload).expect("H.264");
        !unit.has_b_slices
    })
}

/// The first video track must be H.264 of this size.
pub fn assert_is_h264(track: &Track, width: u32, height: u32) {
    let video = track.video().expect("a picture");
    assert_eq!((track.codec, video.width, video.height), (Codec::H264, width, height));
}
