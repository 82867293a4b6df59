//! Recordings through the whole converter, heard with libopus's own decoder.

mod broken;
mod timing;

use std::f64::consts::TAU;

use bytes::Bytes;

use super::AacToOpus;
use super::decoder::{Decoder, FRAME};
use crate::codec::opus::{OpusHead, SAMPLE_RATE, packet_samples};
use crate::format::flv::file::{MAX_BODY, Reader, TagKind};
use crate::format::flv::{Demuxer, Event, Limits};
use crate::media::{Codec, Frame, Kind, MediaTime, Track};

/// A recording's sound.
struct Recording {
    track: Track,
    /// Timestamps in milliseconds, as in the file.
    frames: Vec<Frame>,
    /// Media time of the first picture.
    picture: Option<MediaTime>,
}

impl Recording {
    fn read(name: &str) -> Self {
        let path = format!("{}/media-fixtures/{name}.flv", env!("CARGO_MANIFEST_DIR"));
        let (mut reader, mut demuxer) = (Reader::new(MAX_BODY), Demuxer::new(Limits::default()));
        reader.push(&std::fs::read(path).unwrap());
        let (mut track, mut frames, mut picture) = (None, Vec::new(), None);
        while let Some(tag) = reader.next_tag().unwrap() {
            let timestamp = MediaTime::from_millis(tag.timestamp_ms.into());
            let events = match tag.kind {
                TagKind::Audio => demuxer.audio(timestamp, tag.body),
                TagKind::Video => demuxer.video(timestamp, tag.body),
                TagKind::Script => continue,
            };
            for event in events.unwrap() {
                match event {
                    Event::Track(new) if new.kind() == Kind::Audio => track = Some(new),
                    Event::Frame(frame) if tag.kind == TagKind::Audio => frames.push(frame),
                    Event::Frame(frame) => picture = picture.or(Some(frame.pts)),
                    _ => {}
                }
            }
        }
        Self { track: track.unwrap(), frames, picture }
    }

    fn sample_rate(&self) -> u32 {
        self.track.audio().unwrap().sample_rate
    }

    /// The exact time of a frame, before it was rounded to milliseconds.
    fn exact(&self, frame: usize) -> MediaTime {
        MediaTime::from_ticks((frame * FRAME) as i64, self.sample_rate())
    }

    /// The first channel as it is without a conversion.
    fn decoded(&self) -> Heard {
        let channels = self.track.audio().unwrap().channels;
        let mut decoder = Decoder::new(self.sample_rate(), channels).unwrap();
        let samples = self.frames.iter().flat_map(|frame| {
            decoder.decode(&frame.payload).iter().copied().step_by(channels.into()).collect::<Vec<_>>()
        });
        Heard { start: self.frames[0].pts, sample_rate: self.sample_rate(), samples: samples.collect() }
    }

    fn converted(&self) -> Vec<Frame> {
        let mut converter = AacToOpus::new(&self.track).unwrap();
        let mut packets = Vec::new();
        for frame in &self.frames {
            converter.convert(frame, &mut packets);
        }
        converter.flush(&mut packets);
        assert_eq!(converter.concealed(), 0);
        packets
    }
}

/// Sound with a time.
struct Heard {
    start: MediaTime,
    sample_rate: u32,
    samples: Vec<f32>,
}

impl Heard {
    /// Decodes packets, which must be without gaps, and takes the first channel.
    fn new(packets: &[Frame], track: &Track) -> Self {
        let channels = track.audio().unwrap().channels;
        let layout = if channels == 1 { opus::Channels::Mono } else { opus::Channels::Stereo };
        let mut decoder = opus::Decoder::new(SAMPLE_RATE, layout).unwrap();
        let mut samples = Vec::new();
        let mut buffer = vec![0.0; 960 * usize::from(channels)];
        for (index, packet) in packets.iter().enumerate() {
            let expected = packets[0].pts + MediaTime::from_millis(20 * index as i64);
            assert!((packet.pts - expected).abs() < MediaTime::from_nanos(2), "packet {index}: {packet:?}");
            assert_eq!(packet_samples(&packet.payload), Ok(960));
            assert_eq!(decoder.decode_float(&packet.payload, &mut buffer, false).unwrap(), 960);
            samples.extend(buffer.iter().step_by(channels.into()));
        }
        Self { start: packets[0].pts, sample_rate: SAMPLE_RATE, samples }
    }

    fn seconds(&self, sample: usize) -> f64 {
        self.start.as_secs_f64() + sample as f64 / f64::from(self.sample_rate)
    }

    /// When it gets loud after the time `from`, in seconds.
    fn onset(&self, from: f64) -> f64 {
        let loud = |&sample: &usize| self.seconds(sample) >= from && self.samples[sample].abs() > 0.05;
        self.seconds((0..self.samples.len()).find(loud).expect("a beep"))
    }

    /// Phase and amplitude of a tone over 50 ms from the time `from` on.
    fn tone(&self, hertz: f64, from: f64) -> (f64, f64) {
        let (mut real, mut imaginary, mut count) = (0.0, 0.0, 0.0);
        for (index, &sample) in self.samples.iter().enumerate() {
            let time = self.seconds(index);
            if (from..from + 0.05).contains(&time) {
                real += f64::from(sample) * (TAU * hertz * time).cos();
                imaginary += f64::from(sample) * (TAU * hertz * time).sin();
                count += 0.5;
            }
        }
        (imaginary.atan2(real), real.hypot(imaginary) / count)
    }

    /// The largest departure from a tone of this frequency, which a click is, among the samples between two times.
    fn roughness(&self, hertz: f64, from: f64, to: f64) -> f32 {
        let factor = 2.0 * (TAU * hertz / f64::from(self.sample_rate)).cos() as f32;
        let inside = |&(index, _): &(usize, &[f32])| (from..to).contains(&self.seconds(index));
        let windows = self.samples.windows(3).enumerate().filter(inside);
        windows.map(|(_, window)| (window[0] - factor * window[1] + window[2]).abs()).fold(0.0, f32::max)
    }
}

#[test]
fn the_track_is_opus_with_the_look_ahead_to_skip() {
    for (name, channels) in [("tone", 1), ("aac-44100", 2)] {
        let source = Recording::read(name).track;
        let track = AacToOpus::new(&source).unwrap().track();
        assert_eq!((track.id, track.codec, track.kind()), (source.id, Codec::Opus, Kind::Audio));
        let audio = track.audio().unwrap();
        assert_eq!((audio.sample_rate, audio.channels), (48_000, channels));
        let head = OpusHead::parse(&track.config).unwrap();
        assert_eq!((head.channels, head.pre_skip), (channels, 312));
    }
}

#[test]
fn bits_are_spent_as_they_should_be() {
    for (name, bitrate) in [("tone", 64_000), ("h264-aac", 128_000)] {
        let packets = Recording::read(name).converted();
        let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
        let rate = bytes * 8 * 50 / packets.len();
        assert!((bitrate / 4..bitrate * 5 / 4).contains(&rate), "{name}: {rate} bit/s");
    }
}

#[test]
fn what_cannot_be_converted_is_refused_with_a_reason() {
    let aac = Recording::read("aac-44100").track;
    let with = |config: &[u8]| Track { config: Bytes::copy_from_slice(config), ..aac.clone() };
    for (track, word) in [
        (Track { codec: Codec::H264, ..aac.clone() }, "H.264"),
        (with(&[]), "cannot be read"),
        // HE-AAC signalled in both ways, and with parametric stereo.
        (with(&[0x2b, 0x11, 0x88, 0x00]), "HE-AAC"),
        (with(&[0x13, 0x90, 0x56, 0xe5, 0xa5, 0x48, 0x80]), "HE-AAC"),
        (with(&[0xeb, 0x09, 0x88, 0x00]), "HE-AAC"),
        // AAC Main; 5.1; 960 samples; 44056 samples a second.
        (with(&[0x0a, 0x10]), "type 1"),
        (with(&[0x12, 0x30]), "6 channels"),
        (with(&[0x12, 0x14]), "960"),
        (with(&[0x17, 0x80, 0x56, 0x0c, 0x10]), "44056"),
    ] {
        let reason = AacToOpus::new(&track).err().map(|reason| reason.to_string()).unwrap_or_default();
        assert!(reason.contains(word), "{word}: {reason:?}");
    }
}

#[test]
fn every_rate_of_aac_keeps_its_time() {
    let tone = Recording::read("tone");
    for rate in crate::codec::aac::SAMPLE_RATES {
        let config = crate::codec::aac::AudioSpecificConfig::encode_lc(rate, 1).unwrap();
        let mut converter = AacToOpus::new(&Track { config, ..tone.track.clone() }).unwrap();
        let mut packets = Vec::new();
        for index in 0..200_i64 {
            let pts = MediaTime::from_ticks(index * FRAME as i64, rate);
            // Whatever it sounds like at another rate.
            let payload = tone.frames[index as usize % 90].payload.clone();
            converter.convert(&Frame { pts, dts: pts, payload, ..tone.frames[0].clone() }, &mut packets);
        }
        converter.flush(&mut packets);
        let heard = Heard::new(&packets, &converter.track());
        let length = heard.samples.len() as f64 / 48_000.0;
        let expected = 201.0 * FRAME as f64 / f64::from(rate);
        assert!((expected..expected + 0.03).contains(&length), "{rate}: {length} s for {expected} s");
    }
}
